//! Callbacks of the sandbox: those of a webhook, from whoever has the service's token.

use std::sync::Arc;

use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::Callbacks;
use crate::deliver::platforms::webhook::callback::WebhookCallbacks;

pub fn callbacks(_: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    Ok(Some(Arc::new(WebhookCallbacks::signed(None))))
}
