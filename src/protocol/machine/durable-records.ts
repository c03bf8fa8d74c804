/**
 * Converts between durable state and store records. Each entry is a record of its own, so a step writes only
 * what it changed.
 */
import type { z } from 'zod';
import { type Carried, type Message, messageSchema, retireProofSchema } from '../records/change-messages.ts';
import { checkedData, decode } from '../records/codec.ts';
import { linkSchema } from '../records/link.ts';
import { orderSchema } from '../records/order.ts';
import { decodeStored, encodeStored } from '../records/stored.ts';
import { type Durable, type Entry, emptyDurable, type Section } from './durable-state.ts';

const { own: _, ...sectionsWithoutOwn } = emptyDurable();
const isSection = (name: string): name is Section => Object.hasOwn(sectionsWithoutOwn, name);
/** The sections, in the order in which they are written. */
const sections = Object.keys(sectionsWithoutOwn).filter(isSection);

const entrySections: readonly string[] = ['attends', 'haves', 'proposals', 'votes', 'readys'];
/**
 * Whether the records of a section are entries. Of an entry, only the signed packet is stored, with the parts
 * that travel beside it.
 */
const isOfEntries = (section: Section): boolean => entrySections.includes(section);

/** The name of a record in the store. */
export const recordName = (section: Section, key: string | number): string => `${section}/${key}`;
/** The section and the key in a record's name. The section may be unknown. */
export function readRecordName(name: string): { section: string; key: string } {
  const at = name.indexOf('/');
  return at < 0 ? { section: name, key: '' } : { section: name.slice(0, at), key: name.slice(at + 1) };
}

/**
 * The sections that the archive keeps, for each epoch: public records in plain files outside the sealed
 * store.
 */
const archiveSections = ['links', 'retires', 'notes'] as const;
export type ArchiveSection = (typeof archiveSections)[number];
const archiveEndings: Record<ArchiveSection, string> = { links: '', retires: '-retire', notes: '-note' };
const isArchived = (section: Section): section is ArchiveSection => section in archiveEndings;

/** The store's key of an archive record. */
export const archiveKey = (section: ArchiveSection, epoch: number): string =>
  `chain/${String(epoch).padStart(9, '0')}${archiveEndings[section]}`;

/** The epoch of the link that this key names. Null for every other key. */
export function epochOfLink(key: string): number | null {
  const digits = /^chain\/(\d{9,})$/.exec(key)?.[1];
  return digits === undefined ? null : Number(digits);
}

const recordValue = (section: Section, record: unknown): Uint8Array =>
  encodeStored(isOfEntries(section) ? (record as Entry<Message>).carried : record);

/**
 * The changes of a step, as store records. Entries are immutable, so the comparison is by reference. Records
 * of the archive are written in the same transaction. The sealed store drops its copies later. The archive
 * drops only epochs before `own.oldest`.
 */
export function durableDelta(
  before: Durable,
  after: Durable,
): { puts: [string, Uint8Array][]; deletes: string[] } {
  const puts: [string, Uint8Array][] = [];
  const deletes: string[] = [];
  for (const section of sections) {
    const old: Record<string, unknown> = before[section];
    const now: Record<string, unknown> = after[section];
    if (old === now) continue;
    for (const [key, record] of Object.entries(now)) {
      if (old[key] === record) continue;
      const value = recordValue(section, record);
      puts.push([recordName(section, key), value]);
      if (isArchived(section)) puts.push([archiveKey(section, Number(key)), value]);
    }
    for (const key of Object.keys(old)) if (!(key in now)) deletes.push(recordName(section, key));
  }
  if (before.own !== after.own) puts.push(['own', encodeStored(after.own)]);
  const hadLinks = Object.keys(before.links).length > 0;
  for (let epoch = before.own.oldest; hadLinks && epoch < after.own.oldest; epoch += 1)
    for (const section of archiveSections) deletes.push(archiveKey(section, epoch));
  return { puts, deletes };
}

const entryOf = (carried: Carried): Entry<Message> => ({
  message: decode(messageSchema, carried.packet.body),
  carried,
});

/** Sections whose records hold other records. A later version of those must not pass for one of today. */
const holding: Partial<Record<Section, z.ZodType>> = {
  links: linkSchema,
  retires: retireProofSchema,
  orders: orderSchema,
  admissions: orderSchema,
};

/**
 * The durable state, from the sealed records of an opened store. This member wrote them itself, so they are
 * trusted.
 * @throws ProtocolError `other-version` when a later version of this program wrote one of them
 */
export function durableFromRecords(records: ReadonlyMap<string, Uint8Array>): Durable {
  const durable = emptyDurable();
  for (const [name, bytes] of records) {
    const { section, key } = readRecordName(name);
    if (section === 'own') durable.own = decodeStored(bytes) as Durable['own'];
    if (!isSection(section)) continue;
    const record = decodeStored(bytes);
    const schema = holding[section];
    if (schema !== undefined) checkedData(schema, record);
    const kept = isOfEntries(section) ? entryOf(record as Carried) : record;
    (durable[section] as Record<string, unknown>)[key] = kept;
  }
  return durable;
}
