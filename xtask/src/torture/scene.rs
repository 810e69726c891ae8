//! The table of scenes: the channels and their processes.
//!
//! Owns the table. A new role or channel is a line here and a function in `roles`.

use super::life::Work;
use super::roles::{growing_jobs, growth, pubsub, pushpull, python, reqrep, streams, table};

/// A channel and its processes.
pub struct Scene {
    pub name: &'static str,
    pub roles: &'static [Role],
    /// Audit that a separate process runs when all other processes have left.
    pub audit: Work,
    /// `true` if a sent message stays until it is received.
    pub keeps: bool,
    /// `true` if a receiver that dies may lose the message that it had just taken.
    pub loses_with_receivers: bool,
}

pub struct Role {
    pub name: &'static str,
    pub sends: bool,
    pub least: usize,
    /// `true` if there may be more workers than that.
    pub many: bool,
    pub work: Work,
}

const fn sender(name: &'static str, least: usize, many: bool, work: Work) -> Role {
    Role { name, sends: true, least, many, work }
}

const fn receiver(name: &'static str, least: usize, many: bool, work: Work) -> Role {
    Role { name, sends: false, least, many, work }
}

pub const SCENES: &[Scene] = &[
    Scene {
        name: "copied",
        roles: &[
            sender("publisher", 1, false, pubsub::publish_copied),
            receiver("subscriber", 2, true, pubsub::subscribe_copied),
        ],
        audit: pubsub::audit_copied,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "pinned",
        roles: &[
            sender("publisher", 1, false, pubsub::publish_pinned),
            receiver("subscriber", 2, true, pubsub::subscribe_pinned),
        ],
        audit: pubsub::audit_pinned,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "frames",
        roles: &[
            sender("publisher", 1, false, pubsub::publish_frames),
            receiver("subscriber", 2, true, pubsub::subscribe_frames),
        ],
        audit: pubsub::audit_frames,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "gapless",
        roles: &[
            sender("publisher", 1, false, pubsub::publish_waiting),
            receiver("subscriber", 2, true, pubsub::subscribe_gapless),
        ],
        audit: pubsub::audit_waiting,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "shared",
        roles: &[
            sender("publisher", 2, true, pubsub::publish_shared),
            receiver("subscriber", 2, true, pubsub::subscribe_shared),
        ],
        audit: pubsub::audit_shared,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "replaced",
        roles: &[
            sender("publisher", 1, false, pubsub::publish_replacing),
            receiver("subscriber", 2, true, pubsub::subscribe_following),
        ],
        audit: pubsub::audit_copied,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "growing",
        roles: &[
            sender("publisher", 1, false, growth::publish),
            receiver("subscriber", 2, true, growth::subscribe),
        ],
        audit: growth::audit,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "growing-gapless",
        roles: &[
            sender("publisher", 1, false, growth::publish_waiting),
            receiver("subscriber", 2, true, growth::subscribe_gapless),
        ],
        audit: growth::audit_waiting,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "table",
        roles: &[sender("writer", 1, false, table::write), receiver("reader", 2, true, table::read)],
        audit: table::audit,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "shared-table",
        roles: &[
            sender("shared-writer", 3, false, table::write_shared),
            receiver("shared-reader", 1, true, table::read_shared),
        ],
        audit: table::audit_shared,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "jobs",
        roles: &[sender("pusher", 2, true, pushpull::push), receiver("puller", 2, true, pushpull::pull)],
        audit: pushpull::audit,
        keeps: true,
        loses_with_receivers: false,
    },
    Scene {
        name: "growing-jobs",
        roles: &[
            sender("pusher", 2, true, growing_jobs::push),
            receiver("puller", 2, true, growing_jobs::pull),
        ],
        audit: growing_jobs::audit,
        keeps: true,
        loses_with_receivers: false,
    },
    Scene {
        name: "plain",
        roles: &[sender("requester", 2, true, reqrep::request), receiver("replier", 2, true, reqrep::reply)],
        audit: reqrep::audit,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "patient",
        roles: &[sender("requester", 2, true, reqrep::request), receiver("replier", 2, true, reqrep::reply)],
        audit: reqrep::audit,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "streams",
        roles: &[
            sender("requester", 2, true, streams::request),
            receiver("replier", 2, true, streams::reply),
        ],
        audit: streams::audit,
        keeps: false,
        loses_with_receivers: false,
    },
    Scene {
        name: "python-pubsub",
        roles: &[
            sender("publisher", 1, false, python::publish),
            receiver("subscriber", 2, true, python::subscribe),
        ],
        audit: python::audit_pubsub,
        keeps: false,
        loses_with_receivers: true,
    },
    Scene {
        name: "python-pushpull",
        roles: &[sender("pusher", 1, false, python::push), receiver("puller", 2, true, python::pull)],
        audit: python::audit_pushpull,
        keeps: true,
        loses_with_receivers: true,
    },
    Scene {
        name: "python-reqrep",
        roles: &[
            sender("requester", 1, false, python::request),
            receiver("replier", 1, false, python::reply),
        ],
        audit: python::audit_reqrep,
        keeps: false,
        loses_with_receivers: true,
    },
];

impl Scene {
    /// Returns the roles of up to `most` workers, and at least the required ones.
    pub fn cast(&self, most: usize) -> Vec<usize> {
        let mut cast: Vec<usize> =
            self.roles.iter().enumerate().flat_map(|(i, role)| std::iter::repeat_n(i, role.least)).collect();
        let extras = (0..self.roles.len()).filter(|&i| self.roles[i].many).collect::<Vec<_>>();
        for extra in extras
            .iter()
            .rev()
            .cycle()
            .take(most.saturating_sub(cast.len()) * usize::from(!extras.is_empty()))
        {
            cast.push(*extra);
        }
        cast
    }

    /// Returns the index of a role among the roles of all scenes.
    pub fn number(&self, role: usize) -> usize {
        let before = SCENES.iter().take_while(|scene| scene.name != self.name);
        before.map(|scene| scene.roles.len()).sum::<usize>() + role
    }
}
