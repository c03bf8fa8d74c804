/**
 * The chain since genesis, as far as this peer has it. The core has the newest links. Older links come from
 * the plain files of the store's archive, which are read on demand. A missing or damaged file costs that
 * piece of history and nothing else.
 */
import { linksInFrame } from '../../protocol/change/catch-up.ts';
import { type ArchiveSection, archiveKey, epochOfLink } from '../../protocol/machine/durable-records.ts';
import { type Note, noteSchema } from '../../protocol/machine/durable-state.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { type RetireProof, retireProofSchema } from '../../protocol/records/change-messages.ts';
import { checkedData } from '../../protocol/records/codec.ts';
import { isOfOtherVersion } from '../../protocol/records/errors.ts';
import { limits } from '../../protocol/records/limits.ts';
import { type Link, linkSchema } from '../../protocol/records/link.ts';
import { decodeStored } from '../../protocol/records/stored.ts';
import type { Store } from './store.ts';

/** The records of one epoch that this peer has. */
export interface EpochRecords {
  link: Link;
  parent: Link | null;
  note: Note | null;
  proof: RetireProof | null;
}

/** At most so many unreadable epochs are remembered. */
const unreadableMax = 1000;

/** Reads the chain, and remembers the epochs whose links it did not find. */
export class Archive {
  readonly #store: Pick<Store, 'archived' | 'archivedKeys'>;
  readonly #state: () => CoreState;
  /** Epochs whose link was asked for and not found in a whole file. */
  readonly #unreadable = new Set<number>();
  /** Epochs with a record of a later version, and what was said of it. */
  readonly #newer = new Map<number, string>();

  constructor(store: Pick<Store, 'archived' | 'archivedKeys'>, state: () => CoreState) {
    this.#store = store;
    this.#state = state;
  }

  /** The link of an epoch. Null when this peer does not have it. */
  async link(epoch: number): Promise<Link | null> {
    const { links, own } = this.#state().durable;
    if (epoch < own.oldest || epoch > own.head) return null;
    const link = links[epoch] ?? (await this.#read('links', epoch, (data) => checkedData(linkSchema, data)));
    if (link?.value.epoch === epoch) return link;
    // A file of a later version must stay: nobody is told to replace it.
    if (this.#unreadable.size < unreadableMax && !this.#newer.has(epoch)) this.#unreadable.add(epoch);
    return null;
  }

  /** The epochs whose links were found missing or damaged so far, in order. */
  get unreadable(): number[] {
    return [...this.#unreadable].sort((a, b) => a - b);
  }

  /** The first record of a later version that was found. Null when there was none. */
  get newer(): string | null {
    const [first] = this.#newer;
    return first === undefined ? null : `epoch ${first[0]}, ${first[1]}`;
  }

  /** The links from this epoch on, as many as one frame holds. */
  async linksFrom(first: number): Promise<Link[]> {
    const links: Link[] = [];
    while (links.length < limits.linksPerFrameMax) {
      const link = await this.link(first + links.length);
      if (link === null) break;
      links.push(link);
    }
    return linksInFrame(links);
  }

  /** The records of an epoch. Null when its link is missing. */
  async records(epoch: number): Promise<EpochRecords | null> {
    const link = await this.link(epoch);
    if (link === null) return null;
    const { notes, retires } = this.#state().durable;
    return {
      link,
      parent: epoch === 0 ? null : await this.link(epoch - 1),
      note: notes[epoch] ?? (await this.#read('notes', epoch, (data) => checkedData(noteSchema, data))),
      proof:
        retires[epoch] ??
        (await this.#read('retires', epoch, (data) => checkedData(retireProofSchema, data))),
    };
  }

  /** Finds epochs whose links should be there and are not. It looks at the names of the files only. */
  async look(): Promise<void> {
    const { oldest, head } = this.#state().durable.own;
    const present = new Set((await this.#store.archivedKeys()).map(epochOfLink));
    for (let epoch = oldest; epoch <= head && this.#unreadable.size < unreadableMax; epoch += 1)
      if (!present.has(epoch)) this.#unreadable.add(epoch);
  }

  /** Null also for a file that is whole and holds no such record: somebody replaced it. */
  async #read<T>(section: ArchiveSection, epoch: number, check: (data: unknown) => T): Promise<T | null> {
    try {
      const bytes = await this.#store.archived(archiveKey(section, epoch));
      return bytes === null ? null : check(decodeStored(bytes));
    } catch (error) {
      if (isOfOtherVersion(error) && this.#newer.size < unreadableMax) this.#newer.set(epoch, error.message);
      return null;
    }
  }
}
