//! The grammar of label selectors, with the messages of Kubernetes' parser.

use super::lexer::{Token, lex};
use super::{Operator, Requirement, check_key};
use crate::field::Path;

struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    position: usize,
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: lex(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.peek_value() {
            (Token::Identifier | Token::Not, _) => {
                let requirement =
                    parser.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?;
                requirements.push(requirement);
                match parser.next_value() {
                    (Token::End, _) => return Ok(requirements),
                    (Token::Comma, _) => {
                        let (token, literal) = parser.peek_value();
                        if !matches!(token, Token::Identifier | Token::Not) {
                            return Err(format!("found '{literal}', expected: identifier after ','"));
                        }
                    }
                    (_, literal) => {
                        return Err(format!("found '{literal}', expected: ',' or 'end of string'"));
                    }
                }
            }
            (Token::End, _) => return Ok(requirements),
            (_, literal) => {
                return Err(format!("found '{literal}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (Token, &'a str) {
        self.tokens.get(self.position).copied().unwrap_or((Token::End, ""))
    }

    fn next(&mut self) -> (Token, &'a str) {
        let token = self.peek();
        self.position += 1;
        token
    }

    /// `in` and `notin` are values where a value is wanted.
    fn peek_value(&self) -> (Token, &'a str) {
        match self.peek() {
            (Token::In | Token::NotIn, literal) => (Token::Identifier, literal),
            other => other,
        }
    }

    fn next_value(&mut self) -> (Token, &'a str) {
        let token = self.peek_value();
        self.position += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next_value();
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next_value();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        check_key(key, &Path::default()).map_err(|e| e.to_string())?;
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        Ok(match self.next() {
            (Token::In, _) => Operator::In,
            (Token::NotIn, _) => Operator::NotIn,
            (Token::Equals, _) => Operator::Equals,
            (Token::DoubleEquals, _) => Operator::DoubleEquals,
            (Token::NotEquals, _) => Operator::NotEquals,
            (Token::GreaterThan, _) => Operator::GreaterThan,
            (Token::LessThan, _) => Operator::LessThan,
            (_, literal) => return Err(format!("found '{literal}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next_value() {
            (Token::Identifier, literal) => Ok(literal.to_owned()),
            (_, literal) => Err(format!("found '{literal}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, literal) = self.next_value();
        if token != Token::OpenParen {
            return Err(format!("found '{literal}' expected: '('"));
        }
        match self.peek_value() {
            (Token::Identifier | Token::Comma, literal) => {
                let values = self.identifiers()?;
                if self.next_value().0 == Token::ClosedParen {
                    Ok(values)
                } else {
                    Err(format!("found '{literal}', expected: ')'"))
                }
            }
            (Token::ClosedParen, _) => {
                self.position += 1;
                Ok(Vec::new())
            }
            (_, literal) => Err(format!("found '{literal}', expected: ',', ')' or identifier")),
        }
    }

    /// A list in which an empty place stands for the empty value.
    fn identifiers(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            match self.next_value() {
                (Token::Identifier, literal) => {
                    values.push(literal.to_owned());
                    match self.peek_value() {
                        (Token::Comma, _) => {}
                        (Token::ClosedParen, _) => return Ok(values),
                        (_, literal) => return Err(format!("found '{literal}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    match self.peek_value().0 {
                        Token::ClosedParen => {
                            values.push(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            self.position += 1;
                            values.push(String::new());
                        }
                        _ => {}
                    }
                }
                (_, literal) => return Err(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
    }
}
