/** What is said of one frame beside the pointer. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { FrameFacts } from "./frame.ts";

/** Details of one frame beside the pointer, turned inwards at the edges of the window. */
export function FrameCard({ facts, x, y }: { facts: FrameFacts; x: number; y: number }) {
  const card = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = card.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    const left = x + 14 + width > innerWidth - 6 ? x - width - 14 : x + 14;
    const top = y + 16 + height > innerHeight - 6 ? y - height - 12 : y + 16;
    element.style.left = `${Math.max(6, Math.min(left, innerWidth - width - 6))}px`;
    element.style.top = `${Math.max(6, top)}px`;
  }, [x, y, facts.name]);
  return (
    <div class="card" ref={card} role="tooltip">
      <strong class="card-name">
        <bdi>{facts.name}</bdi>
      </strong>
      <dl>
        <dt>Total</dt>
        <dd>
          {facts.total} <span class="share">{facts.totalShare}</span>
        </dd>
        <dt>Self</dt>
        <dd>
          {facts.self} <span class="share">{facts.selfShare}</span>
        </dd>
        {facts.zoomShare && (
          <>
            <dt>Of zoom</dt>
            <dd>{facts.zoomShare}</dd>
          </>
        )}
        {facts.more.map(([term, text]) => (
          <>
            <dt>{term}</dt>
            <dd>{text}</dd>
          </>
        ))}
        {facts.module !== "" && (
          <>
            <dt>Module</dt>
            <dd>
              <bdi>{facts.module}</bdi>
            </dd>
          </>
        )}
        {facts.place !== "" && (
          <>
            <dt>Source</dt>
            <dd>
              <bdi>{facts.place}</bdi>
            </dd>
          </>
        )}
        {!facts.isLabel && (
          <>
            <dt>Kind</dt>
            <dd>
              {facts.kind}
              {facts.inlined && ", inlined"}
            </dd>
          </>
        )}
        {facts.origin.map(([term, text]) => (
          <>
            <dt>{term}</dt>
            <dd>
              <bdi>{text}</bdi>
            </dd>
          </>
        ))}
      </dl>
      {facts.isOther && <p class="muted">A click shows what it is the sum of.</p>}
      {facts.isLabel && <p class="muted">A click zooms, a double click shows only this.</p>}
    </div>
  );
}
