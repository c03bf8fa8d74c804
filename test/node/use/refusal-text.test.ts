/** What a member says when it refuses is shown to people and kept in logs: only known codes and plain text pass. */
import { expect, test } from 'vitest';
import type { DaemonError } from '../../../src/node/errors.ts';
import type { PartialAnswer } from '../../../src/node/use/partial-messages.ts';
import { Members } from './five-members.ts';

/** What the client is told when the four others answer so, each in its own way. */
async function told(answers: readonly PartialAnswer[]) {
  const members = new Members();
  for (const [at, answer] of answers.entries()) members.lies.set(`peer-${at + 2}-of-five`, () => answer);
  const failures: DaemonError[] = [];
  void members
    .service(1)
    .sign(members.signing(), 3000)
    .catch((error) => failures.push(error));
  await members.until(() => failures.length > 0);
  return { failure: failures[0] as DaemonError, penalties: members.service(1).penalties() };
}
const refused = (code: string, why: string) => ({ type: 'refused', code, why }) as PartialAnswer;

test('a known code and plain text are passed on', async () => {
  const answer = refused('expired', 'the client’s clock is wrong');
  const { failure, penalties } = await told([answer, answer, answer, answer]);
  expect(failure.message).toBe('the client’s clock is wrong');
  expect(failure.details).toEqual({ p2: 'expired', p3: 'expired', p4: 'expired', p5: 'expired' });
  expect(penalties).toEqual([]);
});

test('of any other code only that it was another one', async () => {
  const codes = ['no-such-code', 'x\u2028y', '\u001b[2J', ''];
  const { failure } = await told(codes.map((code) => refused(code, 'plain')));
  expect(failure.details).toEqual({ p2: 'other', p3: 'other', p4: 'other', p5: 'other' });
});

test('text that would move a terminal or break a line is no answer, and whoever sent it is named', async () => {
  const texts = ['a\nb', '\u001b[31mred', 'a\u2028b', '\u202Ebackwards'];
  const { failure, penalties } = await told(texts.map((text) => refused('expired', text)));
  for (const text of texts) expect(failure.message).not.toContain(text);
  expect(penalties.map(({ fault }) => fault)).toEqual(['lied', 'lied', 'lied', 'lied']);
});
