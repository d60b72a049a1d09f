/** The line at the top: pages, what is looked at, and what belongs to the reader. */
import { formatSelector, isRelative, type MadeLink, type Page, parseSelector, presetRange, type Range, type Session, type Snapshot, type View, viewToSearch, widened, withValue } from "../state/index.ts";
import { LiveButton, QueryInput, RangeControls, Selection } from "./controls.tsx";
import { formatCount, formatDay } from "./format.ts";
import { Icon } from "./parts.tsx";
import type { ThemeChoice } from "./theme.ts";

const PAGE_NAMES: readonly (readonly [page: Page, text: string])[] = [
  ["explore", "Explore"],
  ["functions", "Functions"],
  ["compare", "Compare"],
  ["fleet", "Fleet"],
  ["capacity", "Capacity"],
];

interface HeaderProps {
  readonly session: Session;
  readonly snapshot: Snapshot;
  /** The range of the picture shown, Unix milliseconds. */
  readonly shown: { readonly fromMs: number; readonly untilMs: number } | null;
  readonly choice: ThemeChoice;
  onTheme(): void;
  onHelp(): void;
  onLive(): void;
  onOpenFile(): void;
}

export function Header({ session, snapshot, shown, choice, onTheme, onHelp, onLive, onOpenFile }: HeaderProps) {
  const { view } = snapshot;
  const main = view.page === "functions" ? snapshot.top : view.page === "sandwich" ? snapshot.sandwich : view.page === "compare" ? snapshot.comparison : view.page === "capacity" ? snapshot.capacity : snapshot.flamegraph;
  return (
    <header class="top">
      <h1 class="brand">
        <img src="/favicon.svg" alt="" width="20" height="20" />
        <span>Stoker</span>
      </h1>
      <Pages session={session} snapshot={snapshot} />
      {view.page !== "fleet" && (
        <>
          <Selection snapshot={snapshot} onQuery={(query) => session.setQuery(query)} />
          <QueryInput query={view.query} error={main.error} onQuery={(query) => session.setQuery(query)} />
          <RangeControls
            view={view}
            shown={shown}
            hasPresets={!session.link}
            onRange={(range: Range) => session.navigate(range)}
            onWiden={() => shown && session.navigate(widened(shown.fromMs, shown.untilMs, Date.now()))}
          />
          {session.link ? <KeptNote link={session.link} view={view} /> : <LiveButton relative={isRelative(view)} paused={snapshot.paused} failing={main.error !== null} onToggle={onLive} onGoLive={onLive} />}
        </>
      )}
      <span class="corner">
        <button type="button" class="icon-button" aria-label="Open a file" title="Look at a file: pprof, collapsed, perf script, speedscope (o)" onClick={onOpenFile}>
          <Icon name="file" />
        </button>
        <button type="button" class="icon-button" data-theme-choice={choice} aria-label={`Theme: ${choice}. Change it.`} title={`Theme: ${choice} (t)`} onClick={onTheme}>
          <Icon name={choice} />
        </button>
        <button type="button" class="icon-button" aria-label="Help and keys" title="Help and keys (?)" onClick={onHelp}>
          <Icon name="help" />
        </button>
      </span>
    </header>
  );
}

function Pages({ session, snapshot }: { session: Session; snapshot: Snapshot }) {
  const { view } = snapshot;
  return (
    <nav class="pages" aria-label="Pages">
      {PAGE_NAMES.filter(([page]) => !session.link || page !== "fleet").map(([page, text]) => (
        <a
          key={page}
          href={viewToSearch({ ...view, page }) || location.pathname}
          aria-current={page === view.page || (page === "functions" && view.page === "sandwich") ? "page" : undefined}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
            event.preventDefault();
            session.navigate({ page });
          }}
        >
          {text}
        </a>
      ))}
    </nav>
  );
}

/** Says that a short link's own data are shown, and leads to those that there are now. */
function KeptNote({ link, view }: { link: MadeLink; view: View }) {
  return (
    <span class="kept">
      <span title={`Copied for this link on ${new Date(link.created_ms).toLocaleString("en-GB")}; ${formatCount(link.samples)} samples`}>Kept since {formatDay(link.created_ms)}</span>
      <a href={`/${viewToSearch(view)}`} title="The same view of what the server has now">
        Live data
      </a>
    </span>
  );
}

/** Live goes on or rests; a fixed range goes back to the present. */
export function toggleLive(session: Session): void {
  const { view, paused } = session.snapshot;
  if (isRelative(view)) session.setPaused(!paused);
  else {
    session.setPaused(false);
    session.navigate(presetRange("15m"));
  }
}

/** The selector with one label fixed; null where the selector cannot be taken apart here. */
export function narrowed(query: string, label: string, value: string | null): string | null {
  const selector = parseSelector(query);
  return selector ? formatSelector(withValue(selector, label, value)) : null;
}
