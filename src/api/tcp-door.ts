/** Where the API listens on TCP, from the peer's settings, with its certificate read and checked. */
import assert from 'node:assert/strict';
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { hostAndPort } from '../node/addresses.ts';
import { type Settings, SettingsError } from '../node/settings.ts';

export interface TcpDoor {
  host: string;
  port: number;
  /** PEM. Left out on a loopback address, which only this machine reaches. */
  tls?: { cert: string; key: string } | undefined;
}

/** A page in a browser here cannot reach the daemon by a name of its own that it points at the loopback address. */
export const loopbackNames: readonly string[] = ['127.0.0.1', 'localhost', '[::1]', '::1'];

/** Null when the settings ask for no TCP. Paths are taken from the home. Throws `SettingsError`, one line. */
export function tcpDoorOf(settings: Settings, homeDir: string): TcpDoor | null {
  const { apiListen, apiCertificate, apiCertificateKey } = settings;
  if (apiListen === null) return null;
  const address = hostAndPort(apiListen);
  assert(address !== null, 'settings are checked when they are read');
  if (apiCertificate === null || apiCertificateKey === null) return address;
  const cert = readText('apiCertificate', resolve(homeDir, apiCertificate));
  const keyFile = resolve(homeDir, apiCertificateKey);
  const key = readText('apiCertificateKey', keyFile);
  if ((statSync(keyFile).mode & 0o077) !== 0)
    throw new SettingsError(`apiCertificateKey ${keyFile} is open to others; run: chmod 600 ${keyFile}`);
  if (!certificateIn(apiCertificate, cert).checkPrivateKey(keyIn(apiCertificateKey, key)))
    throw new SettingsError(
      `apiCertificateKey ${keyFile} is not the key of apiCertificate; name the two that fit`,
    );
  return { ...address, tls: { cert, key } };
}

function readText(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SettingsError(`${setting} ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function certificateIn(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new SettingsError(`apiCertificate ${file} is no certificate in PEM`);
  }
}

function keyIn(file: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new SettingsError(`apiCertificateKey ${file} is no private key in PEM without a passphrase`);
  }
}
