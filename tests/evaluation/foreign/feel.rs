//! The part of FEEL that speaks of single values, ranges and lists.

use super::lex::{Token, tokens};
use super::{Node, Op, binary};

/// Names of several words; the rest are single words.
const LONG_NAMES: [&[&str]; 3] = [
    &["date", "and", "time"],
    &["string", "length"],
    &["years", "and", "months", "duration"],
];

pub fn parse(text: &str) -> Option<Node> {
    let mut p = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let node = p.or()?;
    (p.at == p.tokens.len()).then_some(node)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn sees(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let is = self.sees(sign);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w == word);
        self.at += usize::from(is);
        is
    }

    /// What `read` reads, or nothing at all.
    fn attempt<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let at = self.at;
        let out = read(self);
        if out.is_none() {
            self.at = at;
        }
        out
    }

    fn or(&mut self) -> Option<Node> {
        let mut left = self.and()?;
        while self.word("or") {
            left = binary(Op::Or, left, self.and()?);
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Node> {
        let mut left = self.comparison()?;
        while self.word("and") {
            left = binary(Op::And, left, self.comparison()?);
        }
        Some(left)
    }

    fn comparison(&mut self) -> Option<Node> {
        let left = self.sum()?;
        if self.word("between") {
            let lo = self.sum()?;
            if !self.word("and") {
                return None;
            }
            return Some(Node::Between(
                Box::new(left),
                Box::new(lo),
                Box::new(self.sum()?),
            ));
        }
        if self.word("in") {
            let tests = self
                .attempt(Self::tests)
                .or_else(|| Some(vec![self.test()?]))?;
            return Some(Node::In(Box::new(left), tests));
        }
        match self.comparison_sign() {
            Some(op) => Some(binary(op, left, self.sum()?)),
            None => Some(left),
        }
    }

    fn comparison_sign(&mut self) -> Option<Op> {
        let Some(Token::Sign(sign)) = self.tokens.get(self.at) else {
            return None;
        };
        let op = Op::comparison(sign).filter(|_| *sign != "==")?;
        self.at += 1;
        Some(op)
    }

    /// `(5, >= 10)`.
    fn tests(&mut self) -> Option<Vec<Node>> {
        if !self.take("(") {
            return None;
        }
        let mut tests = vec![self.test()?];
        while self.take(",") {
            tests.push(self.test()?);
        }
        self.take(")").then_some(tests)
    }

    fn test(&mut self) -> Option<Node> {
        match self.comparison_sign() {
            Some(op) => Some(Node::Test(op, Box::new(self.sum()?))),
            None => self.sum(),
        }
    }

    fn sum(&mut self) -> Option<Node> {
        let mut left = self.product()?;
        loop {
            let op = if self.take("+") {
                Op::Add
            } else if self.take("-") {
                Op::Sub
            } else {
                return Some(left);
            };
            left = binary(op, left, self.product()?);
        }
    }

    fn product(&mut self) -> Option<Node> {
        let mut left = self.power()?;
        loop {
            let op = if self.take("*") {
                Op::Mul
            } else if self.take("/") {
                Op::Div
            } else {
                return Some(left);
            };
            left = binary(op, left, self.power()?);
        }
    }

    fn power(&mut self) -> Option<Node> {
        let mut left = self.unary()?;
        while self.take("**") {
            left = binary(Op::Pow, left, self.unary()?);
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Node> {
        if self.take("-") {
            return Some(Node::Neg(Box::new(self.unary()?)));
        }
        let mut node = self.primary()?;
        while let Some(index) = self.attempt(Self::index) {
            node = Node::Index(Box::new(node), Box::new(index));
        }
        Some(node)
    }

    fn index(&mut self) -> Option<Node> {
        if !self.take("[") {
            return None;
        }
        let index = self.or()?;
        self.take("]").then_some(index)
    }

    fn primary(&mut self) -> Option<Node> {
        if let Some(range) = self.attempt(Self::range) {
            return Some(range);
        }
        if self.take("(") {
            let inner = self.attempt(Self::or).or_else(|| self.test())?;
            return self.take(")").then_some(inner);
        }
        if self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                items.push(self.or()?);
                if !self.take(",") && !self.sees("]") {
                    return None;
                }
            }
            return Some(Node::List(items));
        }
        let token = self.tokens.get(self.at)?.clone();
        match token {
            Token::Number(n) => {
                self.at += 1;
                Some(Node::Number(n))
            }
            Token::Text(t) => {
                self.at += 1;
                Some(Node::Text(t))
            }
            Token::Word(_) => self.name(),
            Token::Sign(_) => None,
        }
    }

    /// `[1..10)`, `]1..10[`, `(1..10]`.
    fn range(&mut self) -> Option<Node> {
        let lo_in = self.take("[");
        if !lo_in && !self.take("(") && !self.take("]") {
            return None;
        }
        let lo = Box::new(self.sum()?);
        if !self.take("..") {
            return None;
        }
        let hi = Box::new(self.sum()?);
        let hi_in = self.take("]");
        if !hi_in && !self.take(")") && !self.take("[") {
            return None;
        }
        Some(Node::Range {
            lo,
            hi,
            lo_in,
            hi_in,
        })
    }

    fn name(&mut self) -> Option<Node> {
        let long = LONG_NAMES.into_iter().find(|words| {
            let seen = self
                .tokens
                .get(self.at..self.at + words.len())
                .unwrap_or_default();
            !seen.is_empty()
                && seen
                    .iter()
                    .zip(*words)
                    .all(|(token, word)| matches!(token, Token::Word(w) if w == word))
        });
        let name = match (long, self.tokens.get(self.at)) {
            (Some(words), _) => {
                self.at += words.len();
                words.join(" ")
            }
            (None, Some(Token::Word(word))) => {
                let word = word.clone();
                self.at += 1;
                word
            }
            (None, _) => return None,
        };
        if !self.take("(") {
            return Some(match name.as_str() {
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "null" => Node::Null,
                _ => Node::Name(name),
            });
        }
        let mut args = Vec::new();
        while !self.take(")") {
            let named = self.attempt(|p| {
                let Some(Token::Word(word)) = p.tokens.get(p.at).cloned() else {
                    return None;
                };
                p.at += 1;
                p.take(":").then_some(word)
            });
            args.push((named, self.or()?));
            if !self.take(",") && !self.sees(")") {
                return None;
            }
        }
        match (name.as_str(), &mut args[..]) {
            ("not", [(None, of)]) => Some(Node::Not(Box::new(std::mem::replace(of, Node::Null)))),
            _ => Some(Node::Call(name, args)),
        }
    }
}
