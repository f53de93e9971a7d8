//! The part of CEL that speaks of single values and lists.

use super::lex::{Token, tokens};
use super::{Node, Op, binary};

pub fn parse(text: &str) -> Option<Node> {
    let mut p = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let node = p.choice()?;
    (p.at == p.tokens.len()).then_some(node)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn take(&mut self, sign: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w == word);
        self.at += usize::from(is);
        is
    }

    fn choice(&mut self) -> Option<Node> {
        let when = self.or()?;
        if !self.take("?") {
            return Some(when);
        }
        let then = self.or()?;
        if !self.take(":") {
            return None;
        }
        Some(Node::If(
            Box::new(when),
            Box::new(then),
            Box::new(self.choice()?),
        ))
    }

    fn or(&mut self) -> Option<Node> {
        let mut left = self.and()?;
        while self.take("||") {
            left = binary(Op::Or, left, self.and()?);
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Node> {
        let mut left = self.relation()?;
        while self.take("&&") {
            left = binary(Op::And, left, self.relation()?);
        }
        Some(left)
    }

    fn relation(&mut self) -> Option<Node> {
        let left = self.sum()?;
        if self.word("in") {
            return Some(Node::In(Box::new(left), vec![self.sum()?]));
        }
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if *sign != "=" => match Op::comparison(sign) {
                Some(op) => {
                    self.at += 1;
                    Some(binary(op, left, self.sum()?))
                }
                None => Some(left),
            },
            _ => Some(left),
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
        let mut left = self.unary()?;
        loop {
            let op = if self.take("*") {
                Op::Mul
            } else if self.take("/") {
                Op::Div
            } else {
                return Some(left);
            };
            left = binary(op, left, self.unary()?);
        }
    }

    fn unary(&mut self) -> Option<Node> {
        if self.take("!") {
            return Some(Node::Not(Box::new(self.unary()?)));
        }
        if self.take("-") {
            return Some(Node::Neg(Box::new(self.unary()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Option<Node> {
        if self.take("(") {
            let inner = self.choice()?;
            return self.take(")").then_some(inner);
        }
        if self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                items.push(self.choice()?);
                if !self.take(",") && !matches!(self.tokens.get(self.at), Some(Token::Sign("]"))) {
                    return None;
                }
            }
            return Some(Node::List(items));
        }
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        Some(match token {
            Token::Number(n) => Node::Number(n),
            Token::Text(t) => Node::Text(t),
            Token::Word(w) => match w.as_str() {
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "null" => Node::Null,
                _ => Node::Name(w),
            },
            Token::Sign(_) => return None,
        })
    }
}
