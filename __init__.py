"""Evenset: from the few labels that a FiftyOne dataset has, it labels the rest.

The root folder is the package `evenset` and the plugin `@evenset/evenset` at once. Nothing heavy is imported before
it is used: `import evenset` loads no torch, and neither does the App when it registers the operators.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

FUNCTIONS = {  # the SDK: name -> the module that has it
    "check_dataset": ".workflows.check_dataset",
    "preprocess_images": ".workflows.preprocess_images",
    "train_resnet": ".workflows.train_resnet",
    "train_gcn": ".workflows.train_gcn",
    "auto_label": ".workflows.auto_label",
    "list_suggestions": ".workflows.list_suggestions",
    "review_labels": ".workflows.review_labels",
    "audit_labels": ".workflows.audit_labels",
    "find_mistakes": ".workflows.find_mistakes",
    "train_generator": ".workflows.train_generator",
    "balance_classes": ".workflows.balance_classes",
    "compare_methods": ".workflows.compare_methods",
    "split_dataset": ".workflows.split_dataset",
    "export_dataset": ".workflows.export_dataset",
    "delete_run": ".workflows.delete_run",
    "set_target": ".workflows.set_target",
    "list_runs": ".workflows.list_runs",
    "resume_run": ".workflows.resume_run",
    "stop_run": ".workflows.stop_run",
    "load_results": ".workflows.load_results",
    "list_embeddings": ".workflows.list_embeddings",
    "delete_embeddings": ".workflows.delete_embeddings",
}

CLASSES = {  # results and errors: name -> the module that has it
    "CheckResults": ".workflows.checking.results",
    "PreprocessResults": ".workflows.preprocess_images",
    "TrainResults": ".workflows.train_resnet",
    "GCNResults": ".workflows.gcn.results",
    "AutoLabelResults": ".workflows.labeling.results",
    "TagResults": ".workflows.tagging.results",
    "TargetResults": ".workflows.labeling.retarget",
    "SuggestionList": ".workflows.list_suggestions",
    "ReviewResults": ".workflows.reviewing.results",
    "AuditResults": ".workflows.audit_labels",
    "MistakeResults": ".workflows.mistakes.results",
    "GeneratorResults": ".workflows.train_generator",
    "BalanceResults": ".workflows.balancing.results",
    "DryRun": ".workflows.balancing.results",
    "CompareResults": ".workflows.comparison.results",
    "SplitResults": ".workflows.splitting.results",
    "ExportResults": ".workflows.exporting.results",
    "GenerationResults": ".workflows.balancing.comparison",
    "RunResults": ".workflows.display.results",
    "RunList": ".workflows.list_runs",
    "EmbeddingList": ".workflows.list_embeddings",
    "DeletedEmbeddings": ".workflows.delete_embeddings",
    "DeletedRun": ".workflows.runs.undo",
    "EvensetError": ".models.errors",
    "InvalidInput": ".models.errors",
    "RunError": ".models.errors",
    "RunStopped": ".workflows.runs.run",
    "DatabaseUnavailable": ".models.errors",
    "ImageError": ".models.errors",
}

OPERATORS = {  # the App, in the order of the work: module of operators/ -> its class
    "open_evenset": "OpenEvenset",
    "check_dataset": "CheckDataset",
    "preprocess_images": "PreprocessImages",
    "auto_label": "AutoLabel",
    "review_labels": "ReviewLabels",
    "audit_labels": "AuditLabels",
    "find_mistakes": "FindMistakes",
    "train_generator": "TrainGenerator",
    "balance_classes": "BalanceClasses",
    "train_resnet": "TrainResNet",
    "train_gcn": "TrainGCN",
    "compare_methods": "CompareMethods",
    "split_dataset": "SplitDataset",
    "export_dataset": "ExportDataset",
    "resume_run": "ResumeRun",
    "stop_run": "StopRun",
    "delete_run": "DeleteRun",
    "watch_runs": "WatchRuns",
    "evenset_panel": "EvensetPanel",
}

__all__ = [*FUNCTIONS, *CLASSES, "__version__"]


def register(plugin: Any) -> None:
    """Called by FiftyOne: adds every operator to the plugin."""
    for module, name in OPERATORS.items():
        plugin.register(getattr(importlib.import_module(f".operators.{module}", __name__), name))


def __getattr__(name: str) -> Any:
    """Imports a function, result or error of the SDK when it is first asked for."""
    module = FUNCTIONS.get(name) or CLASSES.get(name)
    if module is None:
        raise AttributeError(f"evenset has no {name!r}: it has {', '.join(FUNCTIONS)}")
    globals()[name] = value = getattr(importlib.import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *FUNCTIONS, *CLASSES})
