/** Small parts that several components use. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { displayName } from "../layout/index.ts";
import { css, type Rgb } from "../render/index.ts";
import { formatShare, formatValue } from "./format.ts";

/** A symbol name: always a text node, isolated so that right-to-left names reorder nothing else. */
export function Name({ text, maxChars }: { text: string; maxChars?: number }) {
  return <bdi class="name">{displayName(text, maxChars)}</bdi>;
}

/** A cell with a value and its share of all, as a bar, in words and in the type's unit. */
export function AmountCell({ value, of }: { value: number; of: { readonly total: number; readonly unit: string } }) {
  const share = of.total > 0 ? Math.min(1, value / of.total) : 0;
  return (
    <td class="amount">
      <span class="bar" style={{ width: `${(share * 100).toFixed(2)}%` }} />
      <span class="share">{formatShare(value, of.total)}</span>
      <span class="value">{formatValue(value, of.unit)}</span>
    </td>
  );
}

const ICONS = {
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14",
  share: "M6.5 9.5l3-3M7 4.8l1.6-1.6a2.9 2.9 0 0 1 4.1 4.1L11.1 9M9 11.2l-1.6 1.6a2.9 2.9 0 0 1-4.1-4.1L4.9 7",
  keep: "M4 2.5h8v11l-4-3-4 3z",
  export: "M8 2v8m0 0L5 7m3 3 3-3M3 13.5h10",
  help: "M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.9v.1M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13",
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M3 13l1.2-1.2M11.8 4.2 13 3",
  dark: "M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2",
  system: "M2 3h12v8H2zM5.5 14h5M8 11v3",
  up: "M3.5 10 8 5.5l4.5 4.5",
  down: "M3.5 6 8 10.5 12.5 6",
  close: "M4 4l8 8M12 4l-8 8",
  file: "M4 1.5h5.5L12.5 4.5v10h-8.5zM9.5 1.5v3h3",
  flip: "M8 2.5v11M5 5.5 8 2.5l3 3M5 10.5l3 3 3-3",
  widen: "M5 4.5 1.5 8 5 11.5M11 4.5 14.5 8 11 11.5M1.5 8h13",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6L12.5 8z",
} as const;

export type IconName = keyof typeof ICONS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

interface PopoverProps {
  readonly label: string;
  readonly title?: string;
  readonly icon?: IconName;
  readonly class?: string;
  readonly align?: "left" | "right";
  readonly children: (close: () => void) => ComponentChildren;
}

/** A button that opens a panel. Escape, a click elsewhere or moving the focus away closes it. */
export function Popover(props: PopoverProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const onPointer = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", onPointer);
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    close();
  };
  const onFocusOut = (event: FocusEvent) => {
    const next = event.relatedTarget as Node | null;
    if (next && !root.current?.contains(next)) setOpen(false);
  };
  return (
    <div class="popover" ref={root} onKeyDown={onKeyDown} onFocusOut={onFocusOut}>
      <button
        ref={button}
        type="button"
        class={props.class ?? ""}
        aria-expanded={open}
        title={props.title}
        onClick={() => setOpen(!open)}
      >
        {props.icon && <Icon name={props.icon} />}
        <span>{props.label}</span>
      </button>
      {open && <div class={`popover-panel ${props.align ?? "left"}`}>{props.children(close)}</div>}
    </div>
  );
}

interface SegmentsProps<T extends string> {
  readonly label: string;
  readonly value: T | null;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly class?: string;
  onChoose(value: T): void;
}

/** A row of buttons of which at most one is on. */
export function Segments<T extends string>(props: SegmentsProps<T>): JSX.Element {
  return (
    <div class={`segments ${props.class ?? ""}`} role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button
          key={value}
          type="button"
          data-value={value}
          aria-pressed={value === props.value}
          onClick={() => props.onChoose(value)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

/** A little square of colour. Its style is set on the element, which a strict policy allows. */
export function Swatch({ colour }: { colour: Rgb }) {
  return <span class="swatch" style={{ background: css(colour) }} />;
}
