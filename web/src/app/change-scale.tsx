/** What the colours of a comparison mean. */
import type { Verdicts } from "./significance.ts";
import { changeColour, css, type Theme } from "../render/index.ts";

const STEPS = [-1, -0.66, -0.33, 0, 0.33, 0.66, 1];

export function ChangeScale({ theme, largest, verdicts }: { theme: Theme; largest: string; verdicts: Verdicts }) {
  return (
    <p class="change-scale">
      <span>less</span>
      {STEPS.map((step) => (
        <span key={step} class="step" style={{ background: css(changeColour(theme, step)) }} />
      ))}
      <span>more</span>
      {verdicts.known && (
        <>
          <span class="step" style={{ background: css(changeColour(theme, NaN)) }} />
          <span>chance</span>
        </>
      )}
      <span class="muted">
        The deepest colour is {largest.replace(/^[+−±]/, "±")}. {verdicts.sentence}
      </span>
      {verdicts.warnings.map((warning) => (
        <bdi key={warning} class="warn">
          {warning}
        </bdi>
      ))}
    </p>
  );
}
