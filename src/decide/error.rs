//! What stops deciding: nothing of the campaigns is sent then.

use crate::base::Msg;
use crate::eval::EvalError;
use crate::msg;

#[derive(Debug)]
pub enum DecideError {
    Eval(EvalError),
    /// The ledger could not be asked.
    History(Box<dyn std::error::Error + Send + Sync>),
}

impl DecideError {
    pub fn history(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        DecideError::History(Box::new(error))
    }

    pub fn msg(&self) -> Msg {
        match self {
            DecideError::Eval(e) => e.msg(),
            DecideError::History(e) => msg!("the ledger cannot be read: {e}", "无法读取账本：{e}"),
        }
    }
}

impl From<EvalError> for DecideError {
    fn from(e: EvalError) -> Self {
        DecideError::Eval(e)
    }
}

impl std::fmt::Display for DecideError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg().en)
    }
}

impl std::error::Error for DecideError {}
