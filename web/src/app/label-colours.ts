/** Label boxes have the colours of the chart that shows the same groups, so that it is their legend. */
import { useMemo, useRef } from "preact/hooks";
import { labelNodes, type Tree } from "../layout/index.ts";
import { groupColours, type Rgb, type Theme } from "../render/index.ts";

export function useLabelColours(tree: Tree | null, chart: ReadonlyMap<string, Rgb> | null, theme: Theme): ReadonlyMap<string, Rgb> {
  const colours = useMemo(() => {
    if (chart || !tree) return chart ?? new Map<string, Rgb>();
    const heaviest = labelNodes(tree).toSorted((a, b) => tree.total[b] - tree.total[a]);
    return groupColours(theme, heaviest.map((node) => tree.names[tree.name[node]]));
  }, [tree, chart, theme]);
  // The same colours stay the same map: another one would redraw the picture.
  const stable = useRef(colours);
  if (JSON.stringify([...stable.current]) !== JSON.stringify([...colours])) stable.current = colours;
  return stable.current;
}
