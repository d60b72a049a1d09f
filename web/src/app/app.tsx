/** The frame around the pages: header, keys that work everywhere, files, help. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Page, type Session, shownRange } from "../state/index.ts";
import { CapacityPage } from "./capacity-page.tsx";
import { ComparePage } from "./compare-page.tsx";
import { ExplorePage } from "./explore-page.tsx";
import { useFiles } from "./file-drop.ts";
import { FilePage } from "./file-page.tsx";
import { FleetPage } from "./fleet-page.tsx";
import { formatRange } from "./format.ts";
import { FunctionsPage } from "./functions-page.tsx";
import { Header, toggleLive } from "./header.tsx";
import { Help } from "./help.tsx";
import { useKeys, useSearchText, useToast } from "./hooks.ts";
import { SandwichPage } from "./sandwich-page.tsx";
import { absoluteView } from "./share.tsx";
import type { Shell } from "./shell.ts";
import { nextChoice, useTheme } from "./theme.ts";
import { copyText, useSnapshot } from "./use-session.ts";

export function App({ session }: { session: Session }) {
  const snapshot = useSnapshot(session);
  const { view } = snapshot;
  const { choice, theme, setChoice } = useTheme();
  const [helpOpen, setHelpOpen] = useState(false);
  const [toast, showToast] = useToast();
  const files = useFiles(session);
  const searchField = useRef<HTMLInputElement>(null);
  const [term, setTerm] = useSearchText(view.search, (search, how) => session.navigate({ search }, how));
  const shown = shownRange(snapshot);

  const copy = (text: string, what: string) => {
    void copyText(text).then((copied) => showToast(copied ? `${what} copied.` : `Copy this: ${text.slice(0, 400)}`));
  };
  const share = () => {
    const link = `${location.origin}${location.pathname}${absoluteView(snapshot, shown, term)}`;
    void copyText(link).then((copied) => {
      const what = shown ? ` It shows ${formatRange(shown.fromMs, shown.untilMs)}.` : "";
      showToast(copied ? `Link copied.${what}` : `Copy this link: ${link}`);
    });
  };
  const shell: Shell = {
    session,
    snapshot,
    theme,
    toast: showToast,
    copy,
    openSandwich: (focus) => {
      files.close();
      session.navigate({ page: "sandwich", focus });
    },
  };
  const goTo = (page: Page) => () => {
    files.close();
    session.navigate({ page });
  };

  useKeys({
    "/": () => searchField.current?.select(),
    "?": () => setHelpOpen(true),
    l: () => toggleLive(session),
    t: () => setChoice(nextChoice(choice)),
    c: share,
    o: files.choose,
    "1": goTo("explore"),
    "2": goTo("functions"),
    "3": goTo("compare"),
    // A link has no agents.
    "5": goTo("capacity"),
    "4": () => !session.link && goTo("fleet")(),
  });
  useEffect(() => {
    document.title = `${TITLES[view.page]}${view.page === "fleet" ? "" : view.query} · Stoker`;
  }, [view.query, view.page]);

  const search = { field: searchField, term, setTerm };
  return (
    <div class={`page pane-${view.pane} ${files.over ? "dropping" : ""}`}>
      <Header
        session={session}
        snapshot={snapshot}
        shown={shown}
        choice={choice}
        onTheme={() => setChoice(nextChoice(choice))}
        onHelp={() => setHelpOpen(true)}
        onLive={() => toggleLive(session)}
        onOpenFile={files.choose}
      />
      {files.file ? (
        <FilePage shell={shell} file={files.file} search={search} onClose={files.close} />
      ) : (
        <CurrentPage shell={shell} search={search} shown={shown} onShare={share} />
      )}
      <div class="toast" role="status" data-open={toast !== ""}>
        {toast}
      </div>
      {files.over && <div class="drop-note">Drop a pprof, collapsed, perf script or speedscope file to look at it. Nothing is stored.</div>}
      <Help open={helpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  );
}

export interface SearchProps {
  readonly field: { current: HTMLInputElement | null };
  readonly term: string;
  setTerm(text: string, how: "push" | "replace"): void;
}

export interface PageProps {
  readonly shell: Shell;
  readonly search: SearchProps;
  /** The range of what is shown, Unix milliseconds. */
  readonly shown: { readonly fromMs: number; readonly untilMs: number } | null;
  onShare(): void;
}

function CurrentPage(props: PageProps) {
  switch (props.shell.snapshot.view.page) {
    case "explore":
      return <ExplorePage {...props} />;
    case "functions":
      return <FunctionsPage {...props} />;
    case "sandwich":
      return <SandwichPage {...props} />;
    case "compare":
      return <ComparePage {...props} />;
    case "fleet":
      return <FleetPage {...props} />;
    case "capacity":
      return <CapacityPage {...props} />;
  }
}

const TITLES: Record<Page, string> = {
  explore: "",
  functions: "Functions: ",
  sandwich: "Callers and callees: ",
  compare: "Compare: ",
  fleet: "Fleet",
  capacity: "Capacity: ",
};
