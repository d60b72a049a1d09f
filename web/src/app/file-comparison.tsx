/** A file beside what is selected: the file is the base, and neither stored nor part of a link. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Comparison, Latest, type View } from "../state/index.ts";
import type { SearchProps } from "./app.tsx";
import { type ComparisonPlace, ComparisonPicture, useSides } from "./comparison-picture.tsx";
import { formatCount, formatRange } from "./format.ts";
import { useKeys } from "./hooks.ts";
import { Segments } from "./parts.tsx";
import type { Shell } from "./shell.ts";
import { ErrorState, Notice } from "./states.tsx";

const NO_ANSWER = { answer: null, stale: false, error: null };

interface Asked {
  readonly answer: Comparison | null;
  readonly error: ApiError | null;
  readonly loading: boolean;
}

/** Asks anew when the selection or the file changes, and not every few seconds: the file is sent each time. */
function useFileComparison(shell: Shell, name: string, file: Blob): Asked & { again(): void } {
  const { session, snapshot } = shell;
  const { query, from, until } = snapshot.view;
  const [asked, setAsked] = useState<Asked>({ answer: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(new Latest());
  useEffect(() => {
    setAsked({ answer: null, error: null, loading: true });
    latest.current.ask(
      (signal) => session.api.compareFile(query, { from, until }, name, file, signal),
      (outcome) => {
        if (outcome.ok) setAsked({ answer: outcome.value, error: null, loading: false });
        else setAsked({ answer: null, error: outcome.error instanceof ApiError ? outcome.error : new ApiError(0, "unexpected", String(outcome.error)), loading: false });
      },
    );
    return () => latest.current.cancel();
  }, [session, query, from, until, name, file, turn]);
  return { ...asked, again: () => setTurn(turn + 1) };
}

interface FileComparisonProps {
  readonly shell: Shell;
  readonly name: string;
  readonly file: Blob;
  readonly search: SearchProps;
}

export function FileComparison({ shell, name, file, search }: FileComparisonProps) {
  const { answer, error, again } = useFileComparison(shell, name, file);
  const [place, setPlace] = useState<ComparisonPlace>({ zoom: [], span: null, flip: shell.snapshot.view.flip, form: "merged", measure: "share" });
  const { sides, broken } = useSides(answer);
  const failure = error ?? broken;
  useKeys({ Escape: () => setPlace({ ...place, zoom: [], span: null }) });
  return (
    <>
      <div class="toolbar file-comparison">
        <span class="muted grow">
          {answer && (
            <>
              Base: the file, {formatCount(answer.base.samples)} samples. New: <bdi>{answer.new.query}</bdi>, {formatRange(answer.new.from_ms, answer.new.until_ms)}, {formatCount(answer.new.samples)} samples. Shares of each side&apos;s total.
            </>
          )}
        </span>
        <button type="button" onClick={again} title="Ask for the selection as it is now">
          Ask again
        </button>
        <Segments label="Form" class="small" value={place.form} options={[["merged", "Merged"], ["side", "Side by side"]]} onChoose={(form: View["form"]) => setPlace({ ...place, form, zoom: [], span: null })} />
      </div>
      <main class="main compare">
        {failure ? (
          <ErrorState error={failure} onRetry={again} onUngroup={null} />
        ) : !answer || !sides ? (
          <Notice kind="loading" title="Comparing…" />
        ) : answer.base.total === 0 || answer.new.total === 0 ? (
          <Notice kind="empty" title={`There are no samples in the ${answer.base.total === 0 ? "file" : "selection"}.`}>
            <p>{answer.base.total === 0 ? "Choose another file." : "Choose another selector or time above."}</p>
          </Notice>
        ) : (
          <ComparisonPicture
            shell={shell}
            answer={answer}
            sides={sides}
            significance={NO_ANSWER}
            place={place}
            onPlace={(change) => setPlace({ ...place, ...change })}
            term={search.term}
            onTerm={(term) => search.setTerm(term, "push")}
          />
        )}
      </main>
    </>
  );
}
