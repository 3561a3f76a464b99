// What a Python panel cannot do by itself: listen to keys, learn that somebody else changed something, open a tab in one
// step, show a table of text.
// FiftyOne loads this file as it is (no build); React, and FiftyOne's own hooks, lie on `window`.
(() => {
  const { createElement, useEffect, useRef, useState } = window.React;
  const { PluginComponentType, registerComponent } = window.__fop__;

  const KEYS = { a: "accept", s: "skip", arrowright: "skip", x: "reject", u: "undo", backspace: "undo" };
  const WORDS = { accept: "A accept", skip: "S skip", reject: "X reject", undo: "U undo" };
  const TYPED = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable=true], [role=textbox]";
  const OVER = "[role=dialog], [role=listbox], [role=menu], [data-cy=modal]"; // over the panel: keys are theirs
  const SETTLE_MS = 300; // an answer is there a moment before it is drawn
  const CALM_MS = 1000; // changes wait this long: the panel's own are drawn by then
  const TYPING_MS = 10_000; // after a key, somebody may still be typing
  const ORDER_MS = 800; // after which the tab that is drawn should be the open one
  const LOST_MS = 30_000; // an answer that is not there then does not come any more
  const RETRY_MS = [5_000, 300_000]; // to connect again: at first, and at the most
  const [SMALLEST_PX, LARGEST_PX] = [9.5, 12]; // letters of a table
  const LETTER_WIDTH = 0.61; // of a letter of a fixed width, in its size

  /** A function that calls a method of the panel; `done` is called with the answer, when it is there. */
  function usePanelCall() {
    const panel = window.__fosp__.usePanelId();
    const trigger = window.__foo__.usePanelEvent();
    return (operator, params, done) => trigger(panel, { operator, params, callback: (answer) => done?.(answer?.result) });
  }

  /** What a key asks for: an action and, for a number, a class; null where the key is not ours. */
  function asked(event, view) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.defaultPrevented)
      return null;
    if (event.target.closest?.(TYPED) || document.querySelector(OVER)) return null;
    const number = /^(?:Digit|Numpad)(\d)$/.exec(event.code); // by its place: some keyboards shift their digits
    const label = number ? Object.fromEntries(view.numbered)[number[1]] : undefined;
    const action = label === undefined ? KEYS[event.key.toLowerCase()] : "correct";
    return view.actions.includes(action) ? { action, label } : null;
  }

  /** Review by keyboard. view: on_key, turn (another one for each sample and decision), shown, actions, numbered. */
  function EvensetKeys({ schema }) {
    const call = usePanelCall();
    const [busy, setBusy] = useState(null); // the turn that is being written: keys are not heard meanwhile, which is seen
    const now = useRef({});
    Object.assign(now.current, { call, view: schema.view }); // the listener stays, what it is about changes

    useEffect(() => {
      const listen = (event) => {
        const { call, view, sent } = now.current;
        const found = asked(event, view);
        if (!found) return;
        event.preventDefault(); // a second panel leaves this key alone, and nothing scrolls
        if (sent === view.turn) return; // one decision at a time
        now.current.sent = view.turn;
        setBusy(view.turn);
        const free = () => {
          if (now.current.sent === view.turn) delete now.current.sent;
          setBusy(null);
        };
        const params = { ...found, turn: view.turn, id: view.shown };
        call(view.on_key, params, () => window.setTimeout(free, SETTLE_MS));
      };
      document.addEventListener("keydown", listen);
      return () => document.removeEventListener("keydown", listen);
    }, []);

    const look = { opacity: busy === schema.view.turn ? 0.4 : 1 };
    return createElement(window.__mui__.Box, { sx: look }, createElement(KeyLine, schema.view));
  }

  /** Which key does what; the classes are text, whatever is in their names. */
  function KeyLine({ actions, numbered }) {
    const { Typography } = window.__mui__;
    const words = Object.keys(WORDS).filter((action) => actions.includes(action)).map((action) => WORDS[action]);
    if (actions.includes("correct") && numbered.length) words.push("a number corrects");
    const line = (name, text) =>
      createElement(Typography, { key: name, variant: "caption", color: "text.secondary", component: "div" }, text);
    const names = numbered.map(([key, name]) => (key === name ? key : `${key}: ${name}`)).join(", ");
    return [line("keys", words.join(", ")), actions.includes("correct") && names && line("names", names)];
  }

  /** Reads what the server says of a store until the connection ends: first what there is, then each change. */
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

  /** Listens again where a connection ended: the server was restarted, or does not tell at all. */
  async function keepListening(view, signal, hear) {
    for (let wait = RETRY_MS[0]; !signal.aborted; wait = Math.min(2 * wait, RETRY_MS[1])) {
      const began = Date.now();
      await listen(view, signal, hear).catch(() => null);
      if (Date.now() - began > RETRY_MS[1]) wait = RETRY_MS[0];
      await new Promise((go) => window.setTimeout(go, wait));
    }
  }

  const hands = { pressed: false, struck: 0 };
  const HANDLERS = {
    keydown: () => (hands.struck = Date.now()),
    pointerdown: () => (hands.pressed = true),
    pointerup: () => (hands.pressed = false),
    pointercancel: () => (hands.pressed = false),
  };
  for (const [name, handler] of Object.entries(HANDLERS)) window.addEventListener(name, handler, true);

  /** Whether to draw the panel anew would take something out of somebody's hand: it may also take the focus. */
  function isBusy() {
    const types = document.activeElement?.matches(TYPED) && Date.now() - hands.struck < TYPING_MS;
    return hands.pressed || types || document.querySelector("[role=listbox]") !== null;
  }

  /** Asks again and again, one question at a time, while the panel can be seen. view: interval (ms), on_tick. */
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

  /** The tabs. FiftyOne's own first note the click in the App's state, and draw all of the App, before they tell of it.
   *  view: on_tab, names, shown (the one that is drawn). */
  function EvensetTabs({ schema }) {
    const { Tab, Tabs } = window.__mui__;
    const call = usePanelCall();
    const [asked, setAsked] = useState(null); // what was clicked, until it is drawn
    const [{ state }] = window.__fosp__.usePanelState({}); // another page of this server may have gone to another tab
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
      return () => (now.current.isGone = true); // nothing is drawn any more that could be the open tab
    }, []);
    const click = (event, value) => {
      now.current.open = value;
      setAsked(value);
      ask(value);
    };

    const look = { minWidth: 0, px: 1, textTransform: "none" };
    const tabs = schema.view.names.map((name) =>
      createElement(Tab, { key: name, value: name, label: name[0].toUpperCase() + name.slice(1), sx: look }),
    );
    const edge = { borderBottom: 1, borderColor: "divider" };
    return createElement(Tabs, { value: asked ?? schema.view.shown, onChange: click, variant: "scrollable", sx: edge }, tabs);
  }

  /** Tells the panel what changed; it has no look. view: on_changes, on_view, seen, channel, dataset_id, dataset_name. */
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

  /** The App's view and filters, as a text. FiftyOne's own event comes at every re-render too, three times each. */
  function useAppView() {
    const { useRecoilValue } = window.recoil;
    const { filters, view, viewName } = window.__fos__;
    return JSON.stringify([useRecoilValue(view), useRecoilValue(filters), useRecoilValue(viewName)]);
  }

  /** Keeps a panel up to date while it can be seen; returns what ends that. */
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
      connection.abort(); // a page that nobody sees would hold one of the six connections that a browser has
      if (document.visibilityState !== "visible") return;
      connection = new AbortController();
      keepListening(now.view, connection.signal, ({ key, value }) => key === "changed" && later(value));
    };
    const handlers = [
      [document, "visibilitychange", connect],
      [window, "focus", ({ target }) => target === window && tell()], // who comes back; the server may not tell at all
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

  /** Tables of text as they are, in letters that fit them into the panel, within reason; then they scroll sideways.
   *  Sentences between them are wrapped. */
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

  for (const [name, component] of Object.entries({ EvensetKeys, EvensetListener, EvensetTable, EvensetTabs, EvensetTimer }))
    registerComponent({ name, component, type: PluginComponentType.Component, activator: () => true });
})();
