/**
 * One person at one page: the view, what the server answered for it, and the clock that refreshes a
 * live range. Components read `snapshot` and call methods; they never fetch. All contact with the
 * outside (history, timers, visibility) comes in through `Environment`, so that the whole of it runs
 * in tests without a browser.
 */
import { type Agents, type Annotation, type Api, ApiError, type Comparison, type Flamegraph, type ProfileType, type Sandwich, type SearchAnswer, type Significance, type Timeline, type Top } from "./api.ts";
import { Latest } from "./latest.ts";
import { type Question, questionsOf, searchQuestion, versionsQuestion, withoutService } from "./questions.ts";
import { isRelative } from "./time.ts";
import { graphGroup, type View, viewFromSearch, viewToSearch } from "./view.ts";

export interface Environment {
  /** The query part of the address, with its question mark. */
  readAddress(): string;
  writeAddress(search: string, how: "push" | "replace"): void;
  onBackOrForward(listener: () => void): void;
  isHidden(): boolean;
  onVisibilityChange(listener: () => void): void;
  setTimer(run: () => void, ms: number): number;
  clearTimer(timer: number): void;
  nowMs(): number;
}

/** One answer on the page and how far it can be trusted. */
export interface Slot<T> {
  readonly answer: T | null;
  /** True while the answer shown is for an earlier question than the view asks. */
  readonly stale: boolean;
  readonly loading: boolean;
  readonly error: ApiError | null;
  readonly answeredAtMs: number;
}

/** What each slot holds. */
export interface Slots {
  readonly flamegraph: Flamegraph;
  readonly timeline: Timeline;
  readonly top: Top;
  readonly services: Top;
  readonly search: SearchAnswer;
  readonly versions: Timeline;
  readonly annotations: readonly Annotation[];
  readonly sandwich: Sandwich;
  readonly comparison: Comparison;
  readonly significance: Significance;
  readonly agents: Agents;
  readonly profileTypes: readonly ProfileType[];
  readonly labels: readonly string[];
}

type SlotName = keyof Slots;

export type Snapshot = { readonly view: View; readonly paused: boolean } & { readonly [N in SlotName]: Slot<Slots[N]> };

const SLOT_NAMES: readonly SlotName[] = ["flamegraph", "timeline", "top", "services", "search", "versions", "annotations", "sandwich", "comparison", "significance", "agents", "profileTypes", "labels"];

export const LIVE_INTERVAL_MS = 5_000;
/** A server that takes long is asked less often: at most this share of the time is spent waiting for it. */
const MAX_BUSY_SHARE = 0.25;

const EMPTY: Slot<never> = { answer: null, stale: false, loading: false, error: null, answeredAtMs: 0 };

export class Session {
  readonly #api: Api;
  readonly #environment: Environment;
  readonly #listeners = new Set<() => void>();
  readonly #latest: Record<SlotName, Latest>;
  /** What each slot's last question was about; a change makes the answer shown stale. */
  readonly #keys = new Map<SlotName, string>();
  readonly #details = new Map<SlotName, string>();
  #snapshot: Snapshot;
  #timer: number | null = null;
  #askedAtMs = 0;

  constructor(api: Api, environment: Environment) {
    this.#api = api;
    this.#environment = environment;
    const perSlot = <T>(make: () => T) => Object.fromEntries(SLOT_NAMES.map((name) => [name, make()])) as Record<SlotName, T>;
    this.#latest = perSlot(() => new Latest());
    this.#snapshot = { view: viewFromSearch(environment.readAddress()), paused: false, ...perSlot(() => EMPTY) };
  }

  /** For what is in no view, such as files. */
  get api(): Api {
    return this.#api;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#environment.onBackOrForward(() => this.#adopt(viewFromSearch(this.#environment.readAddress())));
    this.#environment.onVisibilityChange(() => {
      if (!this.#environment.isHidden() && this.#isLive()) this.refresh();
    });
    this.#ask({ slot: "profileTypes", key: "", detail: "", ask: (api, signal) => api.profileTypes(signal) });
    this.refresh();
  }

  /** Changes the view. `push` makes a step that the back button undoes, `replace` does not. */
  navigate(change: Partial<View>, how: "push" | "replace" = "push"): void {
    const view = regrouped(this.#snapshot.view, { ...this.#snapshot.view, ...change });
    const before = viewToSearch(this.#snapshot.view);
    const after = viewToSearch(view);
    if (before === after) return;
    this.#environment.writeAddress(after, how);
    this.#adopt(view);
  }

  /** Shows another selection: what was zoomed into may not exist there, but is kept in case it does. */
  setQuery(query: string): void {
    if (query.trim() === this.#snapshot.view.query) this.refresh();
    else this.navigate({ query: query.trim() });
  }

  setPaused(paused: boolean): void {
    if (paused === this.#snapshot.paused) return;
    this.#publish({ paused });
    if (paused) this.#stopTimer();
    else this.refresh();
  }

  /** Asks everything that the view needs anew, and goes on doing so while the range is live. */
  refresh(): void {
    this.#stopTimer();
    this.#askedAtMs = this.#environment.nowMs();
    const { view } = this.#snapshot;
    for (const question of questionsOf(view)) this.#ask(question);
    this.#askSearch(false);
    this.#askVersions();
    const range = { from: view.from, until: view.until };
    const labels: Question<"labels"> = {
      slot: "labels",
      key: JSON.stringify([withoutService(view.query), range]),
      detail: "",
      ask: (api, signal) => api.labels("", range, signal),
    };
    if (view.page !== "fleet" && this.#keys.get("labels") !== labels.key) this.#ask(labels);
  }

  /** Searches everything where the picture does not show everything; once per question unless `again`. */
  #askSearch(onlyNew: boolean): void {
    const question = searchQuestion(this.#snapshot.view);
    if (!question || !isPruned(this.#snapshot.flamegraph.answer)) {
      this.#latest.search.cancel();
      this.#keys.delete("search");
      if (this.#snapshot.search !== EMPTY) this.#publishSlot("search", EMPTY);
    } else if (!onlyNew || this.#keys.get("search") !== question.key) this.#ask(question);
  }

  #askVersions(): void {
    const { view, labels } = this.#snapshot;
    const question = versionsQuestion(view, labels.answer);
    if (question) this.#ask(question);
  }

  #isLive(): boolean {
    return !this.#snapshot.paused && isRelative(this.#snapshot.view);
  }

  /** Takes over a view; asks the server only for what the view needs anew. */
  #adopt(view: View): void {
    const old = this.#snapshot.view;
    this.#publish({ view });
    const others = old.query !== view.query || old.from !== view.from || old.until !== view.until || old.page !== view.page;
    if (others) {
      this.refresh();
      return;
    }
    for (const question of questionsOf(view)) {
      const isNew = this.#keys.get(question.slot) !== question.key;
      const wantsDetail = this.#details.get(question.slot) !== question.detail && isPruned(this.#snapshot.flamegraph.answer);
      if (!isNew && !wantsDetail) continue;
      // How long the server took is counted from here, and not from the refresh before.
      this.#askedAtMs = this.#environment.nowMs();
      this.#ask(question);
    }
    this.#askSearch(true);
  }

  #ask<N extends SlotName>({ slot: name, key, detail, ask }: Question<N>): void {
    const isNew = this.#keys.get(name) !== key;
    this.#keys.set(name, key);
    this.#details.set(name, detail);
    const shown = this.#snapshot[name];
    const stale = shown.stale || (isNew && shown.answer !== null);
    this.#publishSlot(name, { ...shown, stale, loading: true, error: isNew ? null : shown.error });
    this.#latest[name].ask((signal) => ask(this.#api, signal), (outcome) => {
      const before = this.#snapshot[name];
      const slot = outcome.ok
        ? { answer: outcome.value, stale: false, loading: false, error: null, answeredAtMs: this.#environment.nowMs() }
        : { ...before, loading: false, error: asApiError(outcome.error) };
      this.#publishSlot(name, slot as Slot<unknown>);
      if (name === "flamegraph") this.#askSearch(true);
      if (name === "labels") this.#askVersions();
      this.#scheduleNext();
    });
  }

  /** The next refresh begins when all answers of this one are there, so that slow answers never pile up. */
  #scheduleNext(): void {
    const busy = Object.values(this.#latest).some((latest) => latest.busy);
    // A step in between does not put off a refresh that is due already.
    if (busy || this.#timer !== null || !this.#isLive() || this.#environment.isHidden()) return;
    // A question that is wrong does not become right by being asked again.
    if (mainSlots(this.#snapshot).some((slot) => slot.error?.passing === false)) return;
    this.#stopTimer();
    const tookMs = this.#environment.nowMs() - this.#askedAtMs;
    const waitMs = Math.max(LIVE_INTERVAL_MS - tookMs, tookMs / MAX_BUSY_SHARE - tookMs, 1_000);
    this.#timer = this.#environment.setTimer(() => this.refresh(), waitMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) this.#environment.clearTimer(this.#timer);
    this.#timer = null;
  }

  #publishSlot<N extends SlotName>(name: N, slot: Slot<unknown>): void {
    this.#publish({ [name]: slot } as Partial<Snapshot>);
  }

  #publish(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** A zoom begins with the box of a label while the graph is grouped, and with a function while it is not. */
function regrouped(old: View, view: View): View {
  const [before, after] = [graphGroup(old), graphGroup(view)];
  if (before === after || view.zoom !== old.zoom) return view;
  return { ...view, zoom: after === "" ? view.zoom.slice(1) : [], span: null };
}

/** The answers without which the page shows nothing. */
function mainSlots(snapshot: Snapshot): readonly Slot<unknown>[] {
  switch (snapshot.view.page) {
    case "explore":
      return [snapshot.flamegraph];
    case "functions":
      return [snapshot.top];
    case "sandwich":
      return [snapshot.sandwich];
    case "compare":
      return [snapshot.comparison];
    case "fleet":
      return [snapshot.agents];
  }
}

/** True if the server summed up boxes that were too small to send. */
export function isPruned(answer: Flamegraph | null): boolean {
  return answer?.nodes !== undefined && answer.nodes_before_pruning > answer.nodes.parent.length;
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "unexpected", error instanceof Error ? error.message : String(error));
}
