/** Small pieces of state that several pages share. */
import { useEffect, useRef, useState } from "preact/hooks";

const SEARCH_DELAY_MS = 120;
const TOAST_MS = 4_000;

export type WriteSearch = (search: string, how: "push" | "replace") => void;

/** The search as typed, written into the view after a short rest; browsers limit changes of address. */
export function useSearchText(search: string, write: WriteSearch): [string, WriteSearch] {
  const [text, setText] = useState(search);
  const timer = useRef(0);
  const written = useRef(search);
  useEffect(() => {
    // What came from here needs no echo: it could overwrite what was typed since.
    if (search !== written.current) setText(search);
    written.current = search;
  }, [search]);
  useEffect(() => {
    // What was typed a moment ago belongs to the page one has left, not to the one one came to.
    const onBackOrForward = () => {
      window.clearTimeout(timer.current);
      setText(written.current);
    };
    window.addEventListener("popstate", onBackOrForward);
    return () => window.removeEventListener("popstate", onBackOrForward);
  }, []);
  const change: WriteSearch = (next, how) => {
    setText(next);
    window.clearTimeout(timer.current);
    const commit: WriteSearch = (what, as) => {
      written.current = what;
      write(what, as);
    };
    if (how === "push") {
      // What was typed last belongs to the step before this one.
      commit(text, "replace");
      commit(next, "push");
    } else {
      timer.current = window.setTimeout(() => commit(next, "replace"), SEARCH_DELAY_MS);
    }
  };
  return [text, change];
}

/** A line that shows for some seconds. */
export function useToast(): [string, (text: string) => void] {
  const [text, setText] = useState("");
  const timer = useRef(0);
  const show = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setText(""), TOAST_MS);
  };
  return [text, show];
}

/** Single keys anywhere on the page, except where text is typed, a menu is open or a modifier is held. */
export function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, select, textarea, dialog, [role=menu]")) return;
      if (event.key.startsWith("Arrow") && target.closest("table, .popover, button, [role=grid]")) return;
      const run = latest.current[event.key];
      if (!run) return;
      event.preventDefault();
      run();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
