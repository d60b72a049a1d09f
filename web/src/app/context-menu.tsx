/** What can be done with one frame. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { displayName, findPath, Kind, type Path, pathOf, type Tree } from "../layout/index.ts";

export interface MenuPlace {
  readonly node: number;
  readonly x: number;
  readonly y: number;
}

/** A frame's menu: kept by path, because a live graph gets another tree while it is open. */
export interface FrameMenu {
  /** Null where no menu is open, or its frame is gone. */
  readonly at: MenuPlace | null;
  open(node: number, x: number, y: number): void;
  close(): void;
}

export function useFrameMenu(tree: Tree | null): FrameMenu {
  const [menu, setMenu] = useState<{ readonly path: Path; readonly place: { readonly x: number; readonly y: number } } | null>(null);
  const close = useCallback(() => setMenu(null), []);
  const found = menu && tree ? findPath(tree, menu.path) : null;
  return {
    at: menu && found?.complete ? { node: found.node, ...menu.place } : null,
    open: (node, x, y) => tree && setMenu({ path: pathOf(tree, node), place: { x, y } }),
    close,
  };
}

export interface MenuItem {
  readonly text: string;
  readonly key?: string;
  run(): void;
}

interface ContextMenuProps {
  readonly title: string;
  readonly place: MenuPlace;
  readonly items: readonly MenuItem[];
  onClose(): void;
}

/** Arrow keys move, Enter chooses, Escape or a click elsewhere closes. */
export function ContextMenu({ title, place, items, onClose }: ContextMenuProps) {
  const menu = useRef<HTMLDivElement>(null);
  const before = useRef<Element | null>(null);
  useLayoutEffect(() => {
    const element = menu.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(6, Math.min(place.x, innerWidth - width - 6))}px`;
    element.style.top = `${Math.max(6, Math.min(place.y, innerHeight - height - 6))}px`;
    before.current ??= document.activeElement;
    element.querySelector("button")?.focus();
  }, [place.x, place.y]);
  const close = () => {
    onClose();
    if (before.current instanceof HTMLElement) before.current.focus();
  };
  useEffect(() => {
    const onPointer = (event: Event) => {
      if (!menu.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener("pointerdown", onPointer, { capture: true });
    return () => document.removeEventListener("pointerdown", onPointer, { capture: true });
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...(menu.current?.querySelectorAll("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) buttons[(at + step + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="context-menu" role="menu" aria-label={`What to do with ${title}`} ref={menu} onKeyDown={onKeyDown}>
      <p class="muted" aria-hidden="true">
        <bdi>{title}</bdi>
      </p>
      {items.map((item) => (
        <button
          key={item.text}
          type="button"
          role="menuitem"
          onClick={() => {
            close();
            item.run();
          }}
        >
          <span>{item.text}</span>
          {item.key && <kbd>{item.key}</kbd>}
        </button>
      ))}
    </div>
  );
}

/** Names from the outermost caller to the node, one per line. */
export function stackText(tree: Tree, node: number): string {
  const names: string[] = [];
  for (let at = node; at !== 0; at = tree.parent[at]) {
    if (tree.kind[at] !== Kind.Label) names.push(tree.names[tree.name[at]]);
  }
  return names.toReversed().join("\n");
}

export function titleOf(tree: Tree, node: number): string {
  return displayName(tree.names[tree.name[node]], 80);
}
