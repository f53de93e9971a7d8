//! Two other expression languages, read just far enough to put their published cases to our
//! evaluator: CEL and FEEL.
//!
//! Text → [`lex`] → [`cel`] or [`feel`] → [`Node`], one tree for both → [`translate`] → our
//! language, or the reason why not.

pub mod cel;
pub mod feel;
pub mod lex;
pub mod translate;

/// An expression of either language.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    /// As written, perhaps with an exponent.
    Number(String),
    Text(String),
    Name(String),
    List(Vec<Node>),
    /// `[1..10)`: an end may be left out of the range.
    Range {
        lo: Box<Node>,
        hi: Box<Node>,
        lo_in: bool,
        hi_in: bool,
    },
    /// `< 10` as a test of something that stands elsewhere.
    Test(Op, Box<Node>),
    Not(Box<Node>),
    Neg(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
    /// Any of the tests holds.
    In(Box<Node>, Vec<Node>),
    Between(Box<Node>, Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    /// Arguments with the names they were given, if any.
    Call(String, Vec<(Option<String>, Node)>),
    Index(Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Pow,
}

impl Op {
    /// A comparison by its sign in either language.
    pub fn comparison(sign: &str) -> Option<Op> {
        Some(match sign {
            "=" | "==" => Op::Eq,
            "!=" => Op::Ne,
            "<" => Op::Lt,
            "<=" => Op::Le,
            ">" => Op::Gt,
            ">=" => Op::Ge,
            _ => return None,
        })
    }
}

pub fn binary(op: Op, left: Node, right: Node) -> Node {
    Node::Binary(op, Box::new(left), Box::new(right))
}
