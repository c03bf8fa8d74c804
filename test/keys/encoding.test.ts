import * as crypto from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { EncodingError } from '../../src/crypto/errors.ts';
import { bytesToInteger, modInverse } from '../../src/crypto/integers.ts';
import {
  decodeOaep,
  digestBytes,
  encodePkcs1,
  encodePss,
  type HashName,
  isPssBlock,
  trialBlock,
} from '../../src/keys/rsa/encoding.ts';
import { modPow } from '../../src/keys/rsa/engine.ts';
import { isUnit } from '../../src/keys/rsa/group.ts';
import { publicKeyJwk } from '../../src/keys/rsa/public-forms.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';

const hex = (text: string): bigint => BigInt(`0x${text}`);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const sha256 = (message: Uint8Array): Uint8Array => crypto.createHash('sha256').update(message).digest();

describe('published vectors (NIST CAVP, csrc.nist.gov: 186-2rsatestvectors.zip and 186-3rsatestvectors.zip)', () => {
  test('SigGen15_186-3, mod 1024, first SHA256: S^e is our PKCS#1 block', () => {
    const n = hex(
      'a3ecf80ff1804833c36a89a1583f58ef3332476a50a153e73ced17796139636045c131a6b17222ba8848f70150b18dfa390bfb1670ae982dfbc311fd0ede055564687af3805ca883944bb5ac9ec19b0e0cfbd9a314d70b17080c3d49b50cbf417062eb41bd639d67a5fb330ec55a0489fee08eeec97ed487c114b20393fe0aef',
    );
    const message = bytes(
      'dfce08b64b9ea4014947012670548da4ceeee084dbfe509aac92bf096982b8050153bbdd1c5bd4385226729e9a19773b05558ce0acdfb74be6fd2fa8bfe36f58a68e89f066f1bd85584f4a27d6e884abf2d727ae683bebd6d295585b1b71dcc636491bf910a68670c3882fc60c08db7bff3c59f4f95b13c3d721e329657528d9',
    );
    const s = hex(
      '8D9D30A87DF0C2F6CD651FCAF2B9AC1296287AD3D4B03132E330F08AB701FC197040D0A261F631E7E34478B592551E1F682395C9E2B54C8CE8B0C72C1B5A79748CC34F9152730A7F67FAE1225A4CE750F1D5D4E288176DF197E7503C88B5BAECEF3ABCF2875F111E6D7F7B4DC8AFA2ED3C1D7AD8E7CF45A77F0B1CB178518402',
    );
    expect(modPow(s, 0x1001n, n)).toBe(encodePkcs1('sha256', sha256(message), 1024));
  });

  test('SigGenPSS_186-3, mod 1024, first SHA256, no salt: S^e is our PSS block', () => {
    const n = hex(
      'c87155f3d9f3771f6ab89ef30cd36230463902ff0633aa869b6dbd7592c83f4b2f882739ff499f1499fb0db4586c7f7b2dfd5a37dbe0df37dea9d0d5814a4047b647c1d8eb356ebae6a198899f97c25f9182fab2b6be88384a1b8cb16a82a05aaadf610ce2e045b41b8880a13b7133ea07296126471c9a450ae48bc880102c8b',
    );
    const message = bytes(
      '19828d058058243557e29ec3f95b566fb4292c6e7dc0d56ae1c475cb3f6d6f3535307b51589cfad1288287ae4358cfb4d8dfa2415f044a4a87041b9e70d44b6f1bc0040e1f52b8f69d75b50c75daf925ba9b47c9641f7a37453d1aa83fa42dd8b37a4fc33c4305ac9e054f64f9a97cc943a5428df4d80e3903b5997112a4bc79',
    );
    const s = hex(
      'A3263F4C84AB6EF687A3853E5D91D296B125428F80F3C4DCEFCF4FB7F1C41CEBF9AA3CFD0CF2B617EC2DF8AB3379FFCC7FDF72EC659940E0DCDFA453BEF7E9172941B5C8AAF87E58DE3316F103856D922AE5929B3B6CF2A7BBF95C49DDBD8C15B4AC73370D0A28B20514637ABFF56157E15DF57C5860EDEBED44D4917F2D1F8B',
    );
    expect(modPow(s, 0x1001n, n)).toBe(encodePss('sha256', sha256(message), new Uint8Array(0), 1024));
  });

  test('SigGenPSS_186-2, mod 1024, SHA256, salt of 20 bytes: S^e is our PSS block', () => {
    const n = hex(
      'bcb47b2e0dafcba81ff2a2b5cb115ca7e757184c9d72bcdcda707a146b3b4e29989ddc660bd694865b932b71ca24a335cf4d339c719183e6222e4c9ea6875acd528a49ba21863fe08147c3a47e41990b51a03f77d22137f8d74c43a5a45f4e9e18a2d15db051dc89385db9cf8374b63a8cc88113710e6d8179075b7dc79ee76b',
    );
    const message = bytes(
      'f14b4e3fe82b9ccd1d37b505283797019515cd2de7d993e6dcd73a47f327ce3f2c56f7e70f5b1d13efcdcf287053662d475be524410f249a87842e7d2035e72eb7b1f2d79f90d1ff14ab4e5bc48d1ae78e24b53689bc8d06482f6a185c55093f1bc207b6a0b102b6133bfa482bcdfd59f0d8030cc6ca1754a73eb7c1b06f7e9a',
    );
    const s = hex(
      '657daac0ade99946d557a5413ba68f6b3e3d69fe1cb1c2d8737626aed7f60cb3a1aca9e2caac92679271121384d5a7a30045124e1f54ac789e4563264648da185e5174c2f85acbb83fe9d2fded35c23882e71594a5dd7ed4b50a08d533702b5b358bf191a59f568db326a7f23833219f26f5e77724d913872608749a586256b2',
    );
    const salt = bytes('6f2841166a64471d4f0b8ed0dbb7db32161da13b');
    const block = modPow(s, 65537n, n);
    expect(block).toBe(encodePss('sha256', sha256(message), salt, 1024));
    expect(isPssBlock('sha256', sha256(message), block, 1024)).toBe(true);
    expect(isPssBlock('sha256', sha256(message), block ^ 1n, 1024)).toBe(false);
    expect(isPssBlock('sha256', sha256(salt), block, 1024)).toBe(false);
  });
});

describe('blocks', () => {
  const hashes: HashName[] = ['sha256', 'sha384', 'sha512'];

  test('every hash and odd modulus sizes give the block that OpenSSL signs', () => {
    for (const modulusBits of [1024, 1025, 1031, 2048]) {
      const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: modulusBits });
      const jwk = privateKey.export({ format: 'jwk' });
      const n = bytesToInteger(Buffer.from(jwk.n!, 'base64url'));
      for (const hash of hashes) {
        const digest = crypto.createHash(hash).update('data').digest();
        const raw = crypto.sign(hash, Buffer.from('data'), privateKey);
        expect(modPow(bytesToInteger(raw), 65537n, n)).toBe(encodePkcs1(hash, digest, modulusBits));
        const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
        const pss = crypto.sign(hash, Buffer.from('data'), { key: privateKey, padding, saltLength: 17 });
        expect(isPssBlock(hash, digest, modPow(bytesToInteger(pss), 65537n, n), modulusBits)).toBe(true);
      }
    }
  });

  test('digests of a wrong length and moduli that are too short are typed errors', () => {
    expect(() => encodePkcs1('sha256', new Uint8Array(31), 2048)).toThrow(EncodingError);
    expect(() => encodePss('sha512', new Uint8Array(32), new Uint8Array(0), 2048)).toThrow(EncodingError);
    expect(() => encodePkcs1('sha384', new Uint8Array(48), 512)).toThrow(EncodingError);
    expect(() => encodePss('sha256', new Uint8Array(32), new Uint8Array(31), 512)).toThrow(EncodingError);
    for (const hash of hashes) expect(digestBytes[hash]).toBe(crypto.createHash(hash).digest().length);
  });

  test('OAEP as OpenSSL encrypts it is unpadded, and any other block is refused with one error', () => {
    const { p, q } = samplePrimes(2048);
    const n = p * q;
    const d = modInverse(65537n, (p - 1n) * (q - 1n));
    const jwk = publicKeyJwk({ modulus: n, exponent: 65537n });
    const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
    const label = Buffer.from('label');
    for (const [oaepHash, message] of [
      ['sha256', 'hello'],
      ['sha512', ''],
    ] as const) {
      const sealed = crypto.publicEncrypt({ key, oaepHash, oaepLabel: label }, Buffer.from(message));
      const block = modPow(bytesToInteger(sealed), d, n);
      expect(Buffer.from(decodeOaep(oaepHash, label, block, 2048)).toString()).toBe(message);
      const refused = 'the decrypted block is not an OAEP block for this hash and label';
      expect(() => decodeOaep(oaepHash, Buffer.from('other'), block, 2048)).toThrow(refused);
      expect(() => decodeOaep(oaepHash, label, block ^ 1n, 2048)).toThrow(refused);
      expect(() => decodeOaep(oaepHash, label, block + 2n ** 2041n, 2048)).toThrow(refused);
      expect(() => decodeOaep(oaepHash, label, 0n, 2048)).toThrow(refused);
    }
  });

  test('an OAEP block whose separator is not 1 is refused', () => {
    const hashed = (...parts: Uint8Array[]): Buffer =>
      crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
    const mask = (seed: Uint8Array, length: number): Buffer =>
      Buffer.concat([0, 1, 2, 3, 4, 5, 6].map((i) => hashed(seed, Buffer.from([0, 0, 0, i])))).subarray(
        0,
        length,
      );
    const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, i) => byte ^ b[i]!));
    const sealed = (separator: number): bigint => {
      const seed = Buffer.alloc(32, 9);
      const db = Buffer.concat([hashed(), Buffer.alloc(185), Buffer.from([separator]), Buffer.from('hello')]);
      const maskedDb = xor(db, mask(seed, db.length));
      return bytesToInteger(Buffer.concat([Buffer.from([0]), xor(seed, mask(maskedDb, 32)), maskedDb]));
    };
    const none = new Uint8Array(0);
    expect(Buffer.from(decodeOaep('sha256', none, sealed(1), 2048)).toString()).toBe('hello');
    expect(() => decodeOaep('sha256', none, sealed(2), 2048)).toThrow(EncodingError);
  });

  test('a trial block is a unit, fills the modulus, and depends on value and key', () => {
    const { p, q } = samplePrimes(512);
    const block = (value: string, id: string): bigint =>
      trialBlock(Buffer.from(value), Buffer.from(id), p * q);
    const blocks = [block('a', 'b'), block('a', 'c'), block('b', 'b'), block('ab', '')];
    expect(new Set(blocks).size).toBe(4);
    for (const x of blocks) {
      expect(isUnit(x, p * q)).toBe(true);
      expect(x.toString(2).length).toBeGreaterThan(480);
    }
  });
});
