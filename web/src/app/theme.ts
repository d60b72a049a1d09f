/** Dark, light, or as the system says. Kept in the browser, not in links: it belongs to the reader. */
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { Theme } from "../render/index.ts";

export type ThemeChoice = "system" | Theme;

const KEY = "stoker.theme";
const CHOICES: readonly ThemeChoice[] = ["system", "light", "dark"];

export function nextChoice(choice: ThemeChoice): ThemeChoice {
  return CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
}

export function useTheme(): { choice: ThemeChoice; theme: Theme; setChoice(choice: ThemeChoice): void } {
  const [choice, setChoice] = useState<ThemeChoice>(readChoice);
  const systemIsDark = useMedia("(prefers-color-scheme: dark)");
  const theme: Theme = choice === "system" ? (systemIsDark ? "dark" : "light") : choice;
  // With the canvases, which redraw in the same turn: no frame shows both themes.
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = theme;
    writeChoice(choice);
  }, [theme, choice]);
  return { choice, theme, setChoice };
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const update = () => setMatches(media.matches);
    update();
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, [query]);
  return matches;
}

/** Storage may be forbidden; then the choice lasts as long as the page. */
function readChoice(): ThemeChoice {
  try {
    const stored = localStorage.getItem(KEY);
    return CHOICES.find((choice) => choice === stored) ?? "system";
  } catch {
    return "system";
  }
}

function writeChoice(choice: ThemeChoice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // Nothing to do: see `readChoice`.
  }
}
