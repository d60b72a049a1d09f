/** Joins the session, which knows no browser, to the browser and to components. */
import { useEffect, useState } from "preact/hooks";
import { type Environment, type Session, type Snapshot } from "../state/index.ts";

export function browserEnvironment(): Environment {
  return {
    readAddress: () => location.search,
    writeAddress: (search, how) => {
      const address = search === "" ? location.pathname : search;
      if (how === "push") history.pushState(null, "", address);
      else history.replaceState(null, "", address);
    },
    onBackOrForward: (listener) => window.addEventListener("popstate", listener),
    isHidden: () => document.hidden,
    onVisibilityChange: (listener) => document.addEventListener("visibilitychange", listener),
    setTimer: (run, ms) => window.setTimeout(run, ms),
    clearTimer: (timer) => window.clearTimeout(timer),
    nowMs: () => Date.now(),
  };
}

export function useSnapshot(session: Session): Snapshot {
  const [snapshot, setSnapshot] = useState(session.snapshot);
  useEffect(() => {
    setSnapshot(session.snapshot);
    return session.subscribe(() => setSnapshot(session.snapshot));
  }, [session]);
  return snapshot;
}

/** Copies a text; true if it worked. Plain HTTP on another host has no clipboard API, hence the second way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}
