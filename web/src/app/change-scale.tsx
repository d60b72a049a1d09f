/** What the colours of a comparison mean. */
import { changeColour, css, type Theme } from "../render/index.ts";

const STEPS = [-1, -0.66, -0.33, 0, 0.33, 0.66, 1];

export function ChangeScale({ theme, largest }: { theme: Theme; largest: string }) {
  return (
    <p class="change-scale">
      <span>less</span>
      {STEPS.map((step) => (
        <span key={step} class="step" style={{ background: css(changeColour(theme, step)) }} />
      ))}
      <span>more</span>
      <span class="muted">
        The deepest colour is {largest.replace(/^[+−±]/, "±")}. Values only: no test says here whether a difference is more than chance.
      </span>
    </p>
  );
}
