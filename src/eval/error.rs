//! Why an expression cannot be evaluated: what the store holds does not fit what the program
//! declares, or the expression is out of bounds.

use crate::base::Msg;
use crate::diag::Span;
use crate::msg;
use crate::plan::{LowerError, MAX_DEPTH};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// A tag or event field is stored in another type than the program declares, with values that
    /// do not fit.
    Store(Msg),
    /// A tag is declared `fresh`, and the store has not kept when its values were written.
    NoTimes { tag: String },
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep(Span),
    /// An expression that the checker never makes.
    Internal(Span),
}

impl EvalError {
    /// What is wrong and what to do.
    pub fn msg(&self) -> Msg {
        match self {
            EvalError::Store(msg) => msg.clone(),
            EvalError::NoTimes { tag } => msg!(
                "`{tag}` is declared `fresh`, but the store has not kept when its values were written: import it again, or take `fresh` away",
                "`{tag}` 声明了 `fresh`，但数据仓没有记录其值的写入时间：请重新导入，或去掉 `fresh`"
            ),
            EvalError::TooDeep(_) => msg!(
                "this condition, with the audiences and tags that it stands on, is nested more than {MAX_DEPTH} deep: take it apart",
                "该条件连同它依赖的人群和标签，嵌套超过 {MAX_DEPTH} 层：请拆开"
            ),
            EvalError::Internal(span) => {
                let (file, at) = (span.file, span.start);
                msg!(
                    "the expression at byte {at} of file {file} has a shape that the checker never makes: this is a fault of tagcast, please report it",
                    "文件 {file} 第 {at} 字节处的表达式不应通过检查：这是 tagcast 的缺陷，请反馈"
                )
            }
        }
    }
}

impl From<LowerError> for EvalError {
    fn from(error: LowerError) -> Self {
        match error {
            LowerError::TooDeep(span) => EvalError::TooDeep(span),
            LowerError::Shape(span) => EvalError::Internal(span),
        }
    }
}

impl From<StoreError> for EvalError {
    fn from(error: StoreError) -> Self {
        EvalError::Store(Msg {
            en: error.en(),
            zh: error.zh(),
        })
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg().en)
    }
}

impl std::error::Error for EvalError {}
