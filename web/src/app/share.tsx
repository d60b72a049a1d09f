/** Links to what is seen: the long one, and a short one that keeps its data. */
import { useState } from "preact/hooks";
import { absoluteRange, ApiError, type LinkSelection, type MadeLink, shownRange, type Snapshot, viewToSearch } from "../state/index.ts";
import { formatBytes, formatCount } from "./format.ts";
import { Popover } from "./parts.tsx";
import type { Shell } from "./shell.ts";
import { ShareButton } from "./toolbar.tsx";
import { copyText } from "./use-session.ts";

/** The view as a link has it: with the times that are shown. */
export function absoluteView({ view }: Snapshot, shown: ReturnType<typeof shownRange>, term: string): string {
  const range = shown ? absoluteRange(shown.fromMs, shown.untilMs) : {};
  return viewToSearch({ ...view, search: term, ...range });
}

/** What a view shows of the store; null while it shows nothing. */
function selectionsOf(snapshot: Snapshot): LinkSelection[] | null {
  const { view, comparison } = snapshot;
  const shown = shownRange(snapshot);
  if (!shown) return null;
  const selections: LinkSelection[] = [{ query: view.query, ...absoluteRange(shown.fromMs, shown.untilMs) }];
  if (view.page === "compare" && view.base) {
    if (!comparison.answer) return null;
    const { from_ms, until_ms } = comparison.answer.base;
    selections.push({ query: view.base.query, ...absoluteRange(from_ms, until_ms) });
  }
  return selections;
}

/** A comparison's base in absolute times, as its data are kept. */
function keptView(snapshot: Snapshot, term: string): string {
  const [, base] = selectionsOf(snapshot) ?? [];
  const view = base && snapshot.view.base ? { ...snapshot.view, base: { ...base } } : snapshot.view;
  return absoluteView({ ...snapshot, view }, shownRange(snapshot), term);
}

interface ShareToolsProps {
  readonly shell: Shell;
  readonly term: string;
  onShare(): void;
}

export function ShareTools({ shell, term, onShare }: ShareToolsProps) {
  return (
    <>
      <ShareButton onShare={onShare} />
      {/* What is kept already needs no other copy. */}
      {!shell.session.link && (
        <Popover label="Share" icon="keep" align="right" title="A short link that keeps its data">
          {() => <ShortLink shell={shell} term={term} />}
        </Popover>
      )}
    </>
  );
}

type State = { readonly step: "idle" | "making" } | { readonly step: "made"; readonly link: MadeLink; readonly copied: boolean } | { readonly step: "failed"; readonly error: ApiError };

function ShortLink({ shell, term }: { shell: Shell; term: string }) {
  const { session, snapshot } = shell;
  const [state, setState] = useState<State>({ step: "idle" });
  const selections = selectionsOf(snapshot);
  const make = () => {
    if (!selections) return;
    setState({ step: "making" });
    session.api.makeLink(keptView(snapshot, term), selections, new AbortController().signal).then(
      async (link) => setState({ step: "made", link, copied: await copyText(addressOf(link)) }),
      (error: unknown) => setState({ step: "failed", error: error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error)) }),
    );
  };
  return (
    <div class="short-link">
      {state.step === "made" ? (
        <>
          <label>
            Short link
            <input readOnly value={addressOf(state.link)} onFocus={(event) => event.currentTarget.select()} />
          </label>
          <p class="muted" role="status">
            {state.copied ? "Copied. " : ""}It keeps its data: {formatCount(state.link.samples)} samples in {formatBytes(state.link.bytes)}.
          </p>
          {!state.copied && (
            <button type="button" onClick={() => shell.copy(addressOf(state.link), "Short link")}>
              Copy
            </button>
          )}
        </>
      ) : (
        <>
          <p>A short link to this view, with a copy of its data on the server: it shows the same when the profiles themselves are gone.</p>
          {state.step === "failed" && (
            <p class="warn" role="alert">
              <bdi>{state.error.message}</bdi> <bdi>{state.error.hint}</bdi>
            </p>
          )}
          <button type="button" class="primary" disabled={!selections || state.step === "making"} onClick={make}>
            {state.step === "making" ? "Copying…" : "Make a short link"}
          </button>
        </>
      )}
    </div>
  );
}

function addressOf(link: MadeLink): string {
  return `${location.origin}${link.path}`;
}
