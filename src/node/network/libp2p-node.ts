/**
 * The libp2p node of a member: TCP, Noise, yamux, gossipsub, pings and discovery on the LAN, each with its
 * bounds.
 */
import { noise } from '@chainsafe/libp2p-noise';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { Libp2p, PeerInfo } from '@libp2p/interface';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import type { Identity } from '../home/identity.ts';
import { gossipTopic, type NetworkTimings, networkLimits } from './constants.ts';
import { LanDiscovery } from './discovery.ts';
import { rosterGater } from './gater.ts';
import { gossipsubOptions } from './gossip.ts';

// biome-ignore lint/style/useConsistentTypeDefinitions: libp2p needs the index signature of an alias.
type Services = { identify: Identify; ping: Ping; pubsub: GossipSub };
export type MemberNode = Libp2p<Services>;

export interface MemberNodeOptions {
  identity: Identity;
  /** In hex. It names the gossip topic and the mDNS service. */
  clusterId: string;
  /** Multiaddrs. */
  listen: readonly string[];
  timings: NetworkTimings;
  /** By peer id. Strangers get no connection, in either direction. */
  isMember: (peer: string) => boolean;
  /** Members that used up a quota get none either, for a while. */
  isCutOff: (peer: string) => boolean;
  /**
   * Called for every peer of the cluster that is found on the LAN. Null: this peer neither looks nor
   * announces itself.
   */
  onFound: ((found: PeerInfo) => void) | null;
}

/** A node that is not started yet. */
export function createMemberNode(options: MemberNodeOptions): Promise<MemberNode> {
  const { identity, clusterId, listen, isMember, isCutOff, onFound } = options;
  const { pingIntervalMs, pingTimeoutMsMin, pingTimeoutMsMax } = options.timings;
  const services = {
    identify: identify(),
    // The monitor sends its next ping while a slow one still runs. It takes libp2p's default limit of one
    // stream for a dead connection. So a busy machine would lose every connection at once (measured).
    ping: ping({ maxInboundStreams: 8, maxOutboundStreams: 8 }),
    pubsub: gossipsub(gossipsubOptions(gossipTopic(clusterId))),
  };
  const lan = onFound && {
    lan: (components: ConstructorParameters<typeof LanDiscovery>[0]) =>
      new LanDiscovery(components, clusterId, onFound),
  };
  return createLibp2p({
    start: false,
    privateKey: identity,
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: networkLimits.streamsPerConnectionMax,
        streamOptions: {
          maxStreamWindowSize: networkLimits.streamWindowBytesMax,
          maxReadBufferLength: networkLimits.streamReadBufferBytesMax,
        },
      }),
    ],
    connectionGater: rosterGater({ isMember, isCutOff }),
    connectionManager: {
      maxConnections: networkLimits.connectionsMax,
      inboundConnectionThreshold: networkLimits.inboundConnectionsPerSecondMax,
      maxIncomingPendingConnections: networkLimits.inboundPendingMax,
      inboundUpgradeTimeout: networkLimits.inboundUpgradeTimeoutMs,
      dialTimeout: networkLimits.dialTimeoutMs,
      addressDialTimeout: networkLimits.addressDialTimeoutMs,
      // The resolvers of /dnsaddr. TCP itself looks up other names, and the address book takes names from
      // the configuration only.
      resolvers: {},
    },
    connectionMonitor: {
      pingInterval: pingIntervalMs,
      pingTimeout: { minTimeout: pingTimeoutMsMin, maxTimeout: pingTimeoutMsMax },
    },
    services: lan === null ? services : { ...services, ...lan },
  });
}
