/** Durable state ↔ store records: one record per entry, so that a step writes only what it changed. */
import { decode, encode } from 'cborg';
import { decode as decodeStrict } from './codec.ts';
import { type Carried, type Message, messageSchema } from './messages.ts';
import { type Durable, type Entry, emptyDurable } from './state.ts';

type Section = Exclude<keyof Durable, 'own'>;
const entrySections = ['attends', 'haves', 'proposals', 'votes', 'readys'] as const;
const isEntrySection = (section: string): section is (typeof entrySections)[number] =>
  (entrySections as readonly string[]).includes(section);

const epochName = (epoch: string) => epoch.padStart(9, '0');

/** The store key of an entry; links and retire proofs are public and lie beside the sealed records. */
function recordKey(section: Section, key: string): string {
  if (section === 'links') return `chain/${epochName(key)}`;
  if (section === 'retires') return `chain/${epochName(key)}-retire`;
  return `${section}/${key}`;
}

function recordValue(section: Section, record: unknown): Uint8Array {
  return encode(isEntrySection(section) ? (record as Entry<Message>).carried : record);
}

/** What a step changed, by reference: entries are immutable. */
export function durableDelta(
  before: Durable,
  after: Durable,
): { puts: Array<[string, Uint8Array]>; deletes: string[] } {
  const puts: Array<[string, Uint8Array]> = [];
  const deletes: string[] = [];
  for (const section of Object.keys(after) as Array<keyof Durable>) {
    if (section === 'own') {
      if (before.own !== after.own) puts.push(['own', encode(after.own)]);
      continue;
    }
    const old: Record<string, unknown> = before[section];
    const now: Record<string, unknown> = after[section];
    if (old === now) continue;
    for (const [key, record] of Object.entries(now))
      if (old[key] !== record) puts.push([recordKey(section, key), recordValue(section, record)]);
    for (const key of Object.keys(old)) if (!(key in now)) deletes.push(recordKey(section, key));
  }
  return { puts, deletes };
}

/** Rebuilds the durable state from the records of an opened store. */
export function durableFromRecords(records: ReadonlyMap<string, Uint8Array>): Durable {
  const durable = emptyDurable();
  for (const [name, bytes] of records) {
    if (name === 'own') {
      durable.own = decode(bytes) as Durable['own'];
      continue;
    }
    const chain = /^chain\/0*(\d+)(-retire)?$/.exec(name);
    const at = name.indexOf('/');
    const section = (chain ? (chain[2] ? 'retires' : 'links') : name.slice(0, at)) as Section;
    if (!(section in durable)) continue;
    const key = chain ? (chain[1] as string) : name.slice(at + 1);
    const record = decode(bytes);
    (durable[section] as Record<string, unknown>)[key] = isEntrySection(section)
      ? ({
          message: decodeStrict(messageSchema, (record as Carried).packet.body),
          carried: record as Carried,
        } satisfies Entry<Message>)
      : record;
  }
  return durable;
}
