// What a Python panel cannot do: listen to keys, hear of changes by others, open a tab in one step, show a text table.
// FiftyOne loads this file without a build; React and FiftyOne's own hooks are on `window`. It loads one file a plugin
// (fiftyone.yml: js_bundle), so that all components are here, in paragraphs with a title each.
(() => {
  const { createElement, useEffect, useRef, useState } = window.React;
  const { PluginComponentType, registerComponent } = window.__fop__;

  // ---- The panel in Python -------------------------------------------------------------------------------------------

  const SETTLE_MS = 300; // an answer arrives a moment before it is drawn
  const LOST_MS = 30_000; // an answer that takes longer is lost

  /** A function that calls a method of the panel; `done` receives the answer. */
  function usePanelCall() {
    const panel = window.__fosp__.usePanelId();
    const trigger = window.__foo__.usePanelEvent();
    return (operator, params, done) => trigger(panel, { operator, params, callback: (answer) => done?.(answer?.result) });
  }

  // ---- What the user is doing ----------------------------------------------------------------------------------------

  const TYPED = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable=true], [role=textbox]";
  const OVER = "[role=dialog], [role=listbox], [role=menu], [data-cy=modal]"; // over the panel: these take the keys
  const TYPING_MS = 10_000; // after a key, the user may still be typing

  const hands = { pressed: false, struck: 0 };
  const HANDLERS = {
    keydown: () => (hands.struck = Date.now()),
    pointerdown: () => (hands.pressed = true),
    pointerup: () => (hands.pressed = false),
    pointercancel: () => (hands.pressed = false),
  };
  for (const [name, handler] of Object.entries(HANDLERS)) window.addEventListener(name, handler, true);

  /** Whether the user is in the middle of something: drawing the panel again would interrupt it, or take the focus. */
  function isBusy() {
    const types = document.activeElement?.matches(TYPED) && Date.now() - hands.struck < TYPING_MS;
    return hands.pressed || types || document.querySelector("[role=listbox]") !== null;
  }

  // ---- Tabs ----------------------------------------------------------------------------------------------------------

  const ORDER_MS = 800; // after this time the drawn tab should be the open one

  /** The tabs. FiftyOne's own first write the click to the App's state, and redraw the App, before they report it.
   *  view: on_tab, names, shown (the drawn tab). */
  function EvensetTabs({ schema }) {
    const { Tab, Tabs } = window.__mui__;
    const call = usePanelCall();
    const [asked, setAsked] = useState(null); // the clicked tab, until it is drawn
    const [{ state }] = window.__fosp__.usePanelState({}); // another page of this server may have opened another tab
    const now = useRef({ pending: new Set() });
    Object.assign(now.current, { asked, call, open: asked ?? state?.tab, tab: state?.tab, view: schema.view });

    const ask = (value) => {
      const { call, pending, view } = now.current;
      const question = {};
      pending.add(question);
      const end = () => pending.delete(question) && settle();
      call(view.on_tab, { value }, () => window.setTimeout(end, SETTLE_MS));
      window.setTimeout(end, LOST_MS);
    };
    const settle = () => {
      const { asked, open, pending, tab, view } = now.current;
      if (pending.size || now.current.isGone) return;
      const isLost = asked && tab !== asked; // FiftyOne may lose one of two changes of the state at the same time
      if (open && (open !== view.shown || isLost)) ask(open); // answers may overtake one another
      else setAsked(null);
    };
    useEffect(() => {
      const timer = window.setTimeout(settle, ORDER_MS);
      return () => window.clearTimeout(timer);
    });
    useEffect(() => {
      now.current.isGone = false;
      return () => (now.current.isGone = true); // nothing is drawn that could be the open tab
    }, []);
    const click = (event, value) => {
      now.current.open = value;
      setAsked(value);
      ask(value);
    };

    const press = (event, name) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault(); // the App takes the click that would follow
      click(event, name);
    };
    const look = { minWidth: 0, px: 1, textTransform: "none" };
    const tabs = schema.view.names.map((name) => {
      const label = name[0].toUpperCase() + name.slice(1);
      return createElement(Tab, { key: name, value: name, label, sx: look, onKeyDown: (event) => press(event, name) });
    });
    const edge = { borderBottom: 1, borderColor: "divider" };
    return createElement(Tabs, { value: asked ?? schema.view.shown, onChange: click, variant: "scrollable", sx: edge, "aria-label": "Evenset" }, tabs);
  }

  // ---- Decisions by keyboard: Review and Mistakes --------------------------------------------------------------------

  const KEYS = { a: "accept", s: "skip", arrowright: "skip", x: "reject", u: "undo", backspace: "undo" };
  const LETTERS = { accept: "A", skip: "S", reject: "X", undo: "U" };
  const MAX_KEYS = 20; // that wait for a decision

  /** Decisions by keyboard; keys that are pressed while one is written wait for the next sample.
   *  view: on_key, turn (changes with each sample and decision), shown, actions, words, numbered. */
  function EvensetKeys({ schema }) {
    const call = usePanelCall();
    const { view } = schema;
    const [waiting, setWaiting] = useState(0); // keys that are not written yet
    const now = useRef({ queue: [], sent: null }); // sent: the decision that is being written
    Object.assign(now.current, { call, view }); // the listener stays, its subject changes

    const count = () => setWaiting(now.current.queue.length + (now.current.sent ? 1 : 0));
    const free = (sent) => {
      if (now.current.sent !== sent) return; // the next one is being written
      now.current.sent = null;
      send();
    };
    const send = () => {
      const { call, queue, sent, view } = now.current;
      if (!view.actions.includes(queue[0]?.action)) queue.length = 0; // nothing is left to decide
      if (queue.length && sent?.turn !== view.turn) {
        const key = queue.shift();
        const written = (now.current.sent = { turn: view.turn });
        const answered = (answer) => {
          if (answer?.acted) return; // until the next sample is drawn
          queue.length = 0; // of samples after this one
          window.setTimeout(free, SETTLE_MS, written);
        };
        call(view.on_key, { ...key, turn: view.turn, id: view.shown }, answered);
        window.setTimeout(free, LOST_MS, written);
      }
      count();
    };
    useEffect(() => free(now.current.sent), [view.turn]); // the next sample is drawn
    useEffect(() => {
      const listen = (event) => {
        const key = asked(event, now.current.view);
        if (!key) return;
        event.preventDefault(); // a second panel ignores this key, and nothing scrolls
        if (now.current.queue.length >= MAX_KEYS) return;
        now.current.queue.push(key);
        send();
      };
      document.addEventListener("keydown", listen);
      return () => document.removeEventListener("keydown", listen);
    }, []);

    const look = { opacity: waiting ? 0.4 : 1 };
    return createElement(window.__mui__.Box, { sx: look }, createElement(KeyLine, { ...view, waiting: waiting - 1 }));
  }

  /** The action of a key and, for a number, its class; null for any other key. */
  function asked(event, view) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.defaultPrevented)
      return null;
    if (event.target.closest?.(TYPED) || document.querySelector(OVER)) return null;
    const number = /^(?:Digit|Numpad)(\d)$/.exec(event.code); // by position: some keyboards shift their digits
    const label = number ? Object.fromEntries(view.numbered)[number[1]] : undefined;
    const action = label === undefined ? KEYS[event.key.toLowerCase()] : "correct";
    return view.actions.includes(action) ? { action, label } : null;
  }

  /** The keys and their actions; class names are shown as text, whatever they hold. */
  function KeyLine({ actions, numbered, waiting, words: verbs }) {
    const { Typography } = window.__mui__;
    const shown = Object.keys(LETTERS).filter((action) => actions.includes(action));
    const words = shown.map((action) => `${LETTERS[action]} ${verbs[action] ?? action}`);
    if (actions.includes("correct") && numbered.length) words.push("a number corrects");
    if (waiting > 0) words.push(`${waiting} waiting`);
    const line = (name, text) =>
      createElement(Typography, { key: name, variant: "body2", color: "text.secondary", component: "div" }, text);
    const names = numbered.map(([key, name]) => (key === name ? key : `${key}: ${name}`)).join(", ");
    return [line("keys", words.join(", ")), actions.includes("correct") && names && line("names", names)];
  }

  // ---- Changes: by workers, by other people, of the App's view -------------------------------------------------------

  const CALM_MS = 1000; // changes wait this long: the panel's own are drawn by then
  const RETRY_MS = [5_000, 300_000]; // before connecting again: first and longest wait

  /** Reports changes to the panel; invisible. view: on_changes, on_view, seen, channel, dataset_id, dataset_name. */
  function EvensetListener({ schema }) {
    const call = usePanelCall();
    const now = useRef({});
    Object.assign(now.current, { call, view: schema.view });
    useEffect(() => watch(now.current), [schema.view.dataset_id]);

    const app = useAppView();
    const told = useRef(app);
    useEffect(() => {
      const tell = () => call(schema.view.on_view, {}, (answer) => answer?.overtaken && window.setTimeout(tell, SETTLE_MS));
      if (app !== told.current) tell();
      told.current = app;
    }, [app]);
    return null;
  }

  /** The App's view and filters, as a text. FiftyOne's own event also comes with each re-render, three times each. */
  function useAppView() {
    const { useRecoilValue } = window.recoil;
    const { filters, view, viewName } = window.__fos__;
    return JSON.stringify([useRecoilValue(view), useRecoilValue(filters), useRecoilValue(viewName)]);
  }

  /** Keeps a panel up to date while it is visible; returns a function that ends that. */
  function watch(now) {
    let connection = new AbortController();
    let timer = 0;
    let isGone = false;
    const tell = (value) => {
      window.clearTimeout(timer);
      if (value === now.view.seen) return;
      if (isBusy()) later(value);
      else now.call(now.view.on_changes, { seen: now.view.seen }, (answer) => answer?.overtaken && later());
    };
    const later = (value) => {
      window.clearTimeout(timer);
      if (!isGone) timer = window.setTimeout(tell, CALM_MS, value);
    };
    const connect = () => {
      connection.abort(); // a hidden page would hold one of the browser's six connections
      if (document.visibilityState !== "visible") return;
      connection = new AbortController();
      keepListening(now.view, connection.signal, ({ key, value }) => key === "changed" && later(value));
    };
    const handlers = [
      [document, "visibilitychange", connect],
      [window, "focus", ({ target }) => target === window && tell()], // the user comes back; the server may not report changes
    ];
    for (const [target, name, handler] of handlers) target.addEventListener(name, handler, true);
    connect();
    return () => {
      isGone = true;
      connection.abort();
      window.clearTimeout(timer);
      for (const [target, name, handler] of handlers) target.removeEventListener(name, handler, true);
    };
  }

  /** Listens again after a connection ended: the server was restarted, or does not report changes. */
  async function keepListening(view, signal, hear) {
    for (let wait = RETRY_MS[0]; !signal.aborted; wait = Math.min(2 * wait, RETRY_MS[1])) {
      const began = Date.now();
      await listen(view, signal, hear).catch(() => null);
      if (Date.now() - began > RETRY_MS[1]) wait = RETRY_MS[0];
      await new Promise((go) => window.setTimeout(go, wait));
    }
  }

  /** Reads a store from the server until the connection ends: first its content, then each change. */
  async function listen(view, signal, hear) {
    const { response } = await window.__fou__.getFetchFunctionExtended()({
      method: "POST",
      path: "/operators/subscribe-execution-store",
      body: { operator_uri: view.channel, dataset_id: view.dataset_id, dataset_name: view.dataset_name },
      result: "response",
      retries: 0,
      signal,
    });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: {")) hear(JSON.parse(line.slice("data: ".length)));
    }
  }

  /** Asks at intervals, one question at a time, while the panel is visible. view: interval (ms), on_tick. */
  function EvensetTimer({ schema }) {
    const call = usePanelCall();
    const now = useRef({ asked: 0 });
    Object.assign(now.current, { call, view: schema.view });
    useEffect(() => {
      const tick = () => {
        const { asked, call, view } = now.current;
        if (isBusy() || document.visibilityState !== "visible" || Date.now() - asked < LOST_MS) return;
        now.current.asked = Date.now();
        call(view.on_tick, {}, () => (now.current.asked = 0));
      };
      const timer = window.setInterval(tick, schema.view.interval);
      return () => window.clearInterval(timer);
    }, [schema.view.interval]);
    return null;
  }

  // ---- Slider --------------------------------------------------------------------------------------------------------

  const STEPS = { ArrowRight: 1, ArrowUp: 1, PageUp: 5, ArrowLeft: -1, ArrowDown: -1, PageDown: -5 }; // of a slider

  /** A slider that keeps the focus while its answer is drawn: keys move it by a step, with Shift by a fine one.
   *  view: on_slide, label, value, low, high, step, fine_step. */
  function EvensetSlider({ schema }) {
    const { Slider, Stack, Typography } = window.__mui__;
    const call = usePanelCall();
    const { view } = schema;
    const [moved, setMoved] = useState(null); // the user's value, until it is drawn
    const now = useRef({ timer: 0 });
    const value = (now.current.value = moved ?? view.value);
    useEffect(() => {
      if (!now.current.timer) setMoved(null); // else the user has moved on
    }, [view.value]);
    useEffect(() => () => window.clearTimeout(now.current.timer), []);

    const round = (value, step) => Number(Math.min(view.high, Math.max(view.low, Math.round(value / step) * step)).toFixed(4));
    const report = () => {
      window.clearTimeout(now.current.timer);
      const send = () => {
        now.current.timer = 0;
        call(view.on_slide, { value: now.current.value });
      };
      now.current.timer = window.setTimeout(send, SETTLE_MS); // of several keys, the last one
    };
    const press = (event) => {
      const steps = STEPS[event.key];
      if (!steps) return;
      event.preventDefault(); // else the browser moves it, too
      const step = event.shiftKey ? view.fine_step : view.step;
      setMoved(round(value + steps * step, step));
      report();
    };
    const slide = (event, value) => setMoved(value < view.high ? round(value, view.step) : value);
    const range = { value, min: view.low, max: view.high, step: view.fine_step, valueLabelDisplay: "on" };
    const events = { onChange: slide, onChangeCommitted: report, onKeyDown: press };
    const slider = createElement(Slider, { key: "slider", "aria-label": view.label, ...range, ...events });
    const label = createElement(Typography, { key: "label", "aria-hidden": true, noWrap: true, flexShrink: 0 }, view.label);
    const look = { px: 2, pt: 4, pb: 1 }; // room for the value above the slider
    return createElement(Stack, { direction: "row", spacing: 3, alignItems: "center", sx: look }, [label, slider]);
  }

  // ---- Progress, runs and text tables --------------------------------------------------------------------------------

  const [SMALLEST_PX, LARGEST_PX] = [9.5, 12]; // font sizes of a table
  const LETTER_WIDTH = 0.61; // width of a monospace letter, relative to its size

  /** A progress bar that moves; FiftyOne's has no name, and keeps the value that it was first drawn with.
   *  view: label, value (0..1). */
  function EvensetProgress({ schema }) {
    const { Box, LinearProgress, Stack, Typography } = window.__mui__;
    const { label, value } = schema.view;
    const percent = Math.round(100 * value);
    const bar = createElement(LinearProgress, { variant: "determinate", value: percent, "aria-label": label });
    const beside = createElement(Typography, { key: "percent", color: "text.secondary" }, `${percent}%`);
    const line = [createElement(Box, { key: "bar", sx: { flexGrow: 1 } }, bar), beside];
    const below = createElement(Typography, { key: "label", variant: "body2", color: "text.secondary" }, label);
    const first = createElement(Stack, { key: "line", direction: "row", spacing: 2, alignItems: "center" }, line);
    return createElement(Box, null, [first, below]);
  }

  /** The list of runs: a row has its cells and its buttons; the name opens the details below.
   *  view: on_choose, on_NAME for each action, columns, rows: key, name, cells, actions (name, label, icon), is_chosen. */
  function EvensetRuns({ schema }) {
    const { Box, Button, Icon, IconButton, Table, TableBody, TableCell, TableHead, TableRow } = window.__mui__;
    const call = usePanelCall();
    const { view } = schema;
    const cell = (key, content, more = {}) => createElement(TableCell, { key, sx: { px: 0.75, py: 0.25 }, ...more }, content);
    const name = ({ key, name, is_chosen }) => {
      const look = { textTransform: "none", textAlign: "left", minWidth: 0, p: 0.5 };
      const open = () => call(view.on_choose, { value: key });
      const press = (event) => event.key === "Enter" && (event.preventDefault(), open());
      return createElement(Button, { onClick: open, onKeyDown: press, sx: look, "aria-pressed": is_chosen, color: is_chosen ? "primary" : "inherit" }, name);
    };
    const button = (row, [action, label, icon]) => {
      const press = () => call(view[`on_${action}`], { run_key: row.key });
      const named = { key: action, title: label, "aria-label": `${label} ${row.name}`, size: "small", onClick: press };
      return createElement(IconButton, named, createElement(Icon, { fontSize: "small" }, icon));
    };
    const rows = view.rows.map((row) => {
      const buttons = row.actions.map((action) => button(row, action));
      const cells = [
        cell("name", name(row), { component: "th", scope: "row", sx: { px: 0, py: 0.25 } }),
        ...row.cells.map((text, place) => cell(place, text)),
        cell("actions", buttons, { sx: { px: 0, py: 0.25, whiteSpace: "nowrap", textAlign: "right" } }),
      ];
      return createElement(TableRow, { key: row.key, selected: row.is_chosen, "data-run": row.key }, cells);
    });
    const titles = view.columns.map((title) => cell(title, title, { sx: { px: 0.75, py: 0.5 } }));
    const head = createElement(TableHead, { key: "head" }, createElement(TableRow, null, [...titles, cell("actions", "")]));
    const body = createElement(TableBody, { key: "body" }, rows);
    const table = createElement(Table, { size: "small", stickyHeader: true, "aria-label": "Runs" }, [head, body]);
    return createElement(Box, { sx: { maxHeight: 320, overflow: "auto" } }, table);
  }

  /** Text tables in a font size that fits the panel, within limits; wider ones scroll sideways. Sentences wrap. */
  function EvensetTable({ schema }) {
    const { Box } = window.__mui__;
    const lines = schema.view.text.split("\n").map((line) => ({ line, isRow: /\S {2,}\S|^-+$/.test(line) }));
    const longest = Math.max(40, ...lines.map(({ line, isRow }) => (isRow ? line.length : 0)));
    const fontSize = `clamp(${SMALLEST_PX}px, calc((100cqw - 24px) / ${longest} / ${LETTER_WIDTH}), ${LARGEST_PX}px)`;
    const look = { overflowX: "auto", fontSize, lineHeight: 1.5, m: 0, p: 1, bgcolor: "background.level1", borderRadius: 1 };
    const shown = lines.map(({ line, isRow }, key) =>
      createElement(Box, { key, sx: { whiteSpace: isRow ? "pre" : "pre-wrap", minHeight: "1.5em" } }, line),
    );
    const pre = createElement(Box, { component: "pre", sx: look, tabIndex: 0 }, shown);
    return createElement(Box, { sx: { containerType: "inline-size" } }, pre);
  }

  // ---- Sections of a form --------------------------------------------------------------------------------------------

  /** The heading of a form's section, which folds: a line that is true while it is open. view: label, description. */
  function EvensetSection({ data, onChange, path, schema }) {
    const { Box, Typography } = window.__mui__;
    const { description, label } = schema.view;
    const isOpen = data ?? schema.default ?? false;
    const bare = { width: "100%", p: 0, pt: 1, border: 0, borderTop: 1, borderColor: "divider", cursor: "pointer" };
    const look = { ...bare, bgcolor: "transparent", color: "text.primary", textAlign: "left", font: "inherit" };
    const heading = createElement(Typography, { key: "title", component: "span" }, `${isOpen ? "▾" : "▸"} `, label);
    const hint = { key: "hint", component: "span", variant: "body2", color: "text.secondary", sx: { ml: 1 } };
    const click = () => onChange(path, !isOpen);
    const button = { component: "button", type: "button", "aria-expanded": isOpen, "aria-label": label, onClick: click };
    return createElement(Box, { ...button, sx: look }, heading, createElement(Typography, hint, description));
  }

  // ---- Names by which Python shows them ------------------------------------------------------------------------------

  const COMPONENTS = {
    EvensetKeys, EvensetListener, EvensetProgress, EvensetRuns, EvensetSection, EvensetSlider, EvensetTable, EvensetTabs, EvensetTimer,
  };
  for (const [name, component] of Object.entries(COMPONENTS))
    registerComponent({ name, component, type: PluginComponentType.Component, activator: () => true });
})();
