//! Why a condition cannot be evaluated over a store: what it holds does not fit what the program declares.

use crate::diag::Msg;
use crate::msg;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// A tag or event field is stored in another type than the program declares.
    TypeOfStore { name: String, stored: String, declared: String },
}

impl EvalError {
    pub fn msg(&self) -> Msg {
        match self {
            EvalError::TypeOfStore { name, stored, declared } => msg!(
                "`{name}` is {stored} in the store, but declared as {declared}; declare it so, or import it again",
                "`{name}` 在存储中是 {stored},声明却是 {declared};请修改声明或重新导入"
            ),
        }
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg().en)
    }
}

impl std::error::Error for EvalError {}
