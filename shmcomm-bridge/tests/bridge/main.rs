//! Bridges as processes: on loopback, between network namespaces, and with hostile nodes in the realm.

mod hostile;
mod kills;
mod loopback;
mod networks;
mod queues;
mod relays;
mod support;
mod tls;
