/**
 * One person at one page: the view, what the server answered for it, and the clock that refreshes a
 * live range. Components read `snapshot` and call methods; they never fetch. All contact with the
 * outside (history, timers, visibility) comes in through `Environment`, so that the whole of it runs
 * in tests without a browser.
 */
import { type Api, ApiError, type MadeLink } from "./api.ts";
import { Latest } from "./latest.ts";
import { labelsQuestion, type Question, questionsOf, searchQuestion, versionsQuestion } from "./questions.ts";
import { EMPTY, isPruned, mainSlots, type Slot, SLOT_NAMES, type SlotName, type Snapshot } from "./slots.ts";
import { Kept, type Pin, pinned, pinOf } from "./still.ts";
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

export const LIVE_INTERVAL_MS = 5_000;
/** A server that takes long is asked less often: at most this share of the time is spent waiting for it. */
const MAX_BUSY_SHARE = 0.25;

export class Session {
  readonly #api: Api;
  readonly #environment: Environment;
  readonly #listeners = new Set<() => void>();
  readonly #latest: Record<SlotName, Latest>;
  /** What each slot's last question was about; a change makes the answer shown stale. */
  readonly #keys = new Map<SlotName, string>();
  readonly #details = new Map<SlotName, string>();
  readonly #kept = new Kept();
  /** What relative times mean while the page is paused. */
  #pin: Pin | null = null;
  #snapshot: Snapshot;
  #timer: number | null = null;
  #askedAtMs = 0;

  /** The short link whose data are shown; null for the store's. */
  readonly link: MadeLink | null;

  constructor(api: Api, environment: Environment, link: MadeLink | null = null) {
    this.link = link;
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
    const view = resliced(this.#snapshot.view, regrouped(this.#snapshot.view, { ...this.#snapshot.view, ...change }));
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
    if (paused) {
      this.#stopTimer();
      this.#dropRefresh();
      this.#pinTimes();
    } else {
      this.#setPin(null);
      this.refresh();
    }
  }

  /** Asks everything that the view needs anew, and goes on doing so while the range is live. */
  refresh(): void {
    this.#kept.clear();
    this.#askAll((question) => this.#ask(question));
  }

  #askAll(ask: (question: Question) => void): void {
    this.#stopTimer();
    this.#askedAtMs = this.#environment.nowMs();
    const view = this.#asked;
    for (const question of questionsOf(view)) ask(question);
    this.#askSearch(false);
    this.#askVersions();
    const labels = labelsQuestion(view);
    if (labels && this.#keys.get("labels") !== labels.key) this.#ask(labels);
  }

  /** The view as the server is asked for it. */
  get #asked(): View {
    return pinned(this.#snapshot.view, this.#pin);
  }

  /** From now on the times of the view are those of what is shown, which stays the answer to it. */
  #pinTimes(): void {
    if (this.#snapshot.paused) this.#setPin(pinOf(this.#snapshot, this.#pin));
  }

  #setPin(pin: Pin | null): void {
    if (pin === this.#pin) return;
    const before = this.#everyQuestion(this.#asked);
    this.#pin = pin;
    for (const question of this.#everyQuestion(this.#asked)) {
      const isSame = before.some((other) => other.slot === question.slot && other.key === this.#keys.get(other.slot));
      if (!isSame) continue;
      this.#keys.set(question.slot, question.key);
      this.#keep(question.slot);
    }
  }

  /** A page that is paused does not move on when an answer comes that it asked for before. */
  #dropRefresh(): void {
    for (const name of SLOT_NAMES) {
      const slot = this.#snapshot[name];
      if (!slot.loading || slot.stale || !slot.answer) continue;
      this.#latest[name].cancel();
      this.#publishSlot(name, { ...slot, loading: false });
    }
  }

  #keep(name: SlotName): void {
    const slot = this.#snapshot[name] as Slot<never>;
    const isAtRest = this.#snapshot.paused || !isRelative(this.#snapshot.view);
    if (!isAtRest || slot.stale || slot.loading || !slot.answer) return;
    this.#kept.put({ slot: name, key: this.#keys.get(name) ?? "", detail: this.#details.get(name) ?? "" }, slot);
  }

  #everyQuestion(view: View): Question[] {
    const others = [labelsQuestion(view), versionsQuestion(view, this.#snapshot.labels.answer), searchQuestion(view)];
    return [...questionsOf(view), ...others.filter((question) => question !== null)] as Question[];
  }

  /** Searches everything where the picture does not show everything; once per question unless `again`. */
  #askSearch(onlyNew: boolean): void {
    const question = searchQuestion(this.#asked);
    if (!question || !isPruned(this.#snapshot.flamegraph.answer)) {
      this.#latest.search.cancel();
      this.#keys.delete("search");
      if (this.#snapshot.search !== EMPTY) this.#publishSlot("search", EMPTY);
    } else if (!onlyNew || this.#keys.get("search") !== question.key) this.#ask(question);
  }

  #askVersions(): void {
    const question = versionsQuestion(this.#asked, this.#snapshot.labels.answer);
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
      this.#askAll((question) => this.#need(question));
      return;
    }
    for (const question of questionsOf(this.#asked)) {
      const isNew = this.#keys.get(question.slot) !== question.key;
      const wantsDetail = this.#details.get(question.slot) !== question.detail && isPruned(this.#snapshot.flamegraph.answer);
      if (!isNew && !wantsDetail) continue;
      // How long the server took is counted from here, and not from the refresh before.
      this.#askedAtMs = this.#environment.nowMs();
      this.#need(question);
    }
    this.#askSearch(true);
  }

  /** As `#ask`, but what is kept needs no server. */
  #need<N extends SlotName>(question: Question<N>): void {
    const kept = this.#kept.get(question, this.#environment.nowMs());
    if (!kept) {
      this.#ask(question);
      return;
    }
    this.#latest[question.slot].cancel();
    this.#keys.set(question.slot, question.key);
    this.#details.set(question.slot, question.detail);
    this.#publishSlot(question.slot, kept);
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
      this.#pinTimes();
      this.#keep(name);
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

/** A slice is a part of one range, and of Explore. */
function resliced(old: View, view: View): View {
  const isKept = view.slice !== old.slice || (view.from === old.from && view.until === old.until);
  return view.slice === null || (isKept && view.page === "explore") ? view : { ...view, slice: null };
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "unexpected", error instanceof Error ? error.message : String(error));
}
