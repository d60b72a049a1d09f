/** The groups of a chart in one line, with their rates. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Rgb } from "../render/index.ts";
import { formatRate } from "./format.ts";
import { Name, Popover, Swatch } from "./parts.tsx";
import type { ChartData, Series } from "./series.ts";

interface LegendProps {
  readonly data: ChartData;
  readonly colours: readonly Rgb[];
  readonly step: number | null;
  readonly unit: string;
  onGroup(value: string): void;
}

/** One line of groups; those that do not fit into it stand behind "+3 more". */
export function Legend({ data, colours, step, unit, onGroup }: LegendProps) {
  const list = useRef<HTMLUListElement>(null);
  const [fitting, setFitting] = useState(data.series.length);
  const count = data.series.length;
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    const measure = () => {
      const items = [...element.children] as HTMLElement[];
      setFitting(items.filter((item) => item.offsetTop === items[0].offsetTop).length);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [data]);
  const entry = (series: Series, i: number, close?: () => void) => (
    <button
      type="button"
      disabled={series.isRest || count === 1}
      tabIndex={!close && i >= fitting ? -1 : 0}
      title="Show only this"
      onClick={() => {
        close?.();
        onGroup(series.name);
      }}
    >
      <Swatch colour={colours[i]} />
      {series.isRest ? <span>{series.name}</span> : <Name text={series.name === "" ? (count === 1 ? "total" : "(none)") : series.name} maxChars={40} />}
      <span class="number">{formatRate(step === null ? series.average : (series.rates[step] ?? 0), unit)}</span>
    </button>
  );
  return (
    <>
      <ul class="legend" ref={list}>
        {data.series.map((series, i) => (
          <li key={series.name} aria-hidden={i >= fitting}>
            {entry(series, i)}
          </li>
        ))}
      </ul>
      {fitting < count && (
        <Popover label={`+${count - fitting} more`} class="link legend-more" align="right" title="Groups that do not fit into the line">
          {(close) => (
            <ul class="legend-rest">
              {data.series.slice(fitting).map((series, i) => (
                <li key={series.name}>{entry(series, fitting + i, close)}</li>
              ))}
            </ul>
          )}
        </Popover>
      )}
    </>
  );
}
