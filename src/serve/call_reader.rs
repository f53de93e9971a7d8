//! Calls of platforms that are kept in the ledger's inbox are read and applied, so that an opt-out
//! holds from the next message on.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use super::fetch::MailNotice;
use super::service_state::ServiceState;
use crate::base::{Type, UserNo};
use crate::deliver::callback::{CallbackEvent, CallbackKind, CallbackSubject, Incoming};
use crate::deliver::platforms;
use crate::engine::{Failure, Project};
use crate::ledger::{NewCall, Receipt, ReceiptContent};
use crate::msg;
use crate::store::{Snapshot, TextIndex};

/// Calls that are applied before the ledger is asked for more.
const MOST_CALLS: usize = 200;

pub struct CallReader {
    /// Users by their address on a platform, by tag and platform.
    addresses: BTreeMap<(String, String), TextIndex>,
    /// Where notices of mailboxes go.
    mail: Sender<MailNotice>,
}

impl CallReader {
    pub fn new(mail: Sender<MailNotice>) -> Self {
        CallReader {
            addresses: BTreeMap::new(),
            mail,
        }
    }

    /// Applies all calls of the inbox; whether the history of anyone is another after that.
    ///
    /// # Errors
    /// A ledger that cannot be written, stored addresses that cannot be read.
    pub fn apply_all(
        &mut self,
        service: &ServiceState,
        project: &Project,
        snapshot: &Snapshot,
    ) -> Result<bool, Failure> {
        let accounts = service.accounts.get();
        let mut history_changed = false;
        loop {
            let calls = service.ledger().reader().calls(MOST_CALLS)?;
            for call in &calls {
                let NewCall {
                    account,
                    at,
                    query,
                    signature,
                    body,
                } = &call.call;
                let read = accounts.callbacks.get(account).map(|c| {
                    c.read(&Incoming {
                        query,
                        signature,
                        body,
                        at: *at,
                    })
                });
                let receipts = match read {
                    Some(Ok(events)) => Some(self.receipts(account, events, project, snapshot)?),
                    Some(Err(_)) | None => None,
                };
                if receipts.is_none() {
                    let n = call.number;
                    service.journal.info(msg!(
                        "callback {n} of `{account}` cannot be read; it is kept",
                        "无法读取 `{account}` 的回调 {n}；已保留"
                    ));
                }
                let applied = service.ledger().dispatcher().apply(
                    call,
                    receipts.as_deref(),
                    service.world.now(),
                )?;
                service.metrics.opted_out.add(applied.opted_out);
                history_changed |= applied.opted_out + applied.learned > 0;
            }
            if calls.len() < MOST_CALLS {
                break;
            }
        }
        let learned = service
            .ledger()
            .dispatcher()
            .apply_strays(service.world.now())?;
        Ok(history_changed || learned > 0)
    }

    /// With users by their numbers, as the ledger keeps them. Users that the store does not have
    /// cannot be sent anything either.
    fn receipts(
        &mut self,
        account: &str,
        events: Vec<CallbackEvent>,
        project: &Project,
        snapshot: &Snapshot,
    ) -> Result<Vec<Receipt>, Failure> {
        let mut receipts = Vec::new();
        for CallbackEvent { key, when, what } in events {
            let by_id = |user: &str| snapshot.user_no(user).into_iter().collect();
            let mut by_address = |address: &str| self.users_at(account, address, project, snapshot);
            let what = match what {
                CallbackKind::Message { id, kind } => ReceiptContent::Message { id, kind },
                CallbackKind::List { id, all, counts } => ReceiptContent::List { id, all, counts },
                CallbackKind::Refused { id, reason } => ReceiptContent::Refused { id, reason },
                CallbackKind::OptedOut { user } => ReceiptContent::OptedOut(by_id(&user)),
                CallbackKind::OptedOutAt { address } => {
                    ReceiptContent::OptedOut(by_address(&address)?)
                }
                CallbackKind::Contact { who, kind, topic } => {
                    let users = match who {
                        CallbackSubject::At(address) => by_address(&address)?,
                        CallbackSubject::Id(user) => by_id(&user),
                    };
                    ReceiptContent::Contact { users, kind, topic }
                }
                CallbackKind::Closed { address, kind } => ReceiptContent::Closed {
                    users: by_address(&address)?,
                    kind,
                },
                CallbackKind::Mail { mailbox, token } => {
                    // Who fetches has ended only where the service stops; mailboxes are looked into
                    // from time to time all the same.
                    let _ = self.mail.send(MailNotice {
                        account: account.to_owned(),
                        mailbox,
                        token,
                        at: when,
                    });
                    continue;
                }
            };
            receipts.push(Receipt { key, when, what });
        }
        Ok(receipts)
    }

    /// The users that an account's platform knows by an address.
    fn users_at(
        &mut self,
        account: &str,
        address: &str,
        project: &Project,
        snapshot: &Snapshot,
    ) -> Result<Vec<UserNo>, Failure> {
        let mut users = Vec::new();
        if address.is_empty() {
            return Ok(users);
        }
        let program = &project.program;
        let declared = program.accounts.iter().find(|a| *a.name == *account);
        let platform = declared.map_or(account, |a| &a.platform);
        let tags = program
            .schema
            .tags
            .iter()
            .filter(|t| matches!(&t.ty, Type::Address(of) if **of == *account));
        for tag in tags {
            let Some(column) = snapshot.tag(&tag.name)? else {
                continue;
            };
            let index = self
                .addresses
                .entry((tag.name.clone(), platform.to_string()))
                .or_insert_with(|| TextIndex::by(platforms::callback_user(platform)));
            users.extend(index.find(column, address));
        }
        Ok(users)
    }
}
