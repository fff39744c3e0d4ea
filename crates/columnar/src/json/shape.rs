//! What values without a column have looked like so far.

use std::collections::HashMap;

use super::fault::Stop;
use super::lexer::Lexer;
use super::names::KEY_BYTES_MAX;

/// The narrowest type that holds all values seen.
#[derive(Debug, Default)]
pub(crate) enum Shape {
    /// Nothing but nulls.
    #[default]
    Unknown,
    Boolean,
    /// `exact`: doubles hold all of them, too.
    Long {
        exact: bool,
    },
    Double,
    /// Strings, or values of different types.
    Text,
    Array(Box<Shape>),
    Struct(Members),
}

/// An object's members, in the order they were met.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) list: Vec<(Box<str>, Shape)>,
    index: HashMap<Box<str>, usize>,
    /// Whether there were members for which there was no room.
    pub(crate) rest: bool,
}

/// How many columns there may be.
#[derive(Debug)]
pub(crate) struct Budget {
    /// How many more.
    pub(crate) columns: usize,
    pub(crate) struct_columns_max: usize,
    pub(crate) depth_max: usize,
}

impl Members {
    /// The shape of a member, if there is room for it: `others` columns are the struct's already.
    pub(crate) fn member(
        &mut self,
        key: &str,
        others: usize,
        most: usize,
        budget: &mut Budget,
    ) -> Option<&mut Shape> {
        if let Some(&known) = self.index.get(key) {
            return Some(&mut self.list[known].1);
        }
        // Once there is a column for the rest, it has all the rest.
        let full = self.rest || self.list.len() + others >= most || budget.columns == 0;
        if full || key.len() > KEY_BYTES_MAX {
            self.rest = true;
            return None;
        }
        budget.columns -= 1;
        self.index.insert(key.into(), self.list.len());
        self.list.push((key.into(), Shape::Unknown));
        self.list.last_mut().map(|(_, shape)| shape)
    }
}

impl Shape {
    /// Takes the value here, which is `depth` objects and arrays deep.
    pub(crate) fn see(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let seen = match lexer.peek() {
            b'n' => return lexer.literal(b"null"),
            b'[' => return self.see_array(lexer, depth, budget),
            b'{' => return self.see_object(lexer, depth, budget),
            b't' => {
                lexer.literal(b"true")?;
                Self::Boolean
            }
            b'f' => {
                lexer.literal(b"false")?;
                Self::Boolean
            }
            b'"' => {
                lexer.string()?;
                Self::Text
            }
            _ => {
                let number = lexer.number()?;
                let double = number.faithful_double();
                match number.long() {
                    Some(_) => Self::Long {
                        exact: double.is_some(),
                    },
                    None if !number.integral && double.is_some() => Self::Double,
                    // A text keeps all digits.
                    None => Self::Text,
                }
            }
        };
        let met = match (&*self, seen) {
            (Self::Unknown, seen) => seen,
            (Self::Boolean, Self::Boolean) => return Ok(()),
            (&Self::Long { exact: a }, Self::Long { exact: b }) => Self::Long { exact: a && b },
            (Self::Double | Self::Long { exact: true }, Self::Double)
            | (Self::Double, Self::Long { exact: true }) => Self::Double,
            _ => Self::Text,
        };
        self.become_(met, budget);
        Ok(())
    }

    fn become_(&mut self, other: Self, budget: &mut Budget) {
        budget.columns += self.columns();
        *self = other;
    }

    fn become_text(&mut self, lexer: &mut Lexer<'_>, budget: &mut Budget) -> Result<(), Stop> {
        self.become_(Self::Text, budget);
        lexer.skip().map(drop)
    }

    fn see_array(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if matches!(self, Self::Unknown) {
            *self = Self::Array(Box::default());
        }
        let Self::Array(items) = self else {
            return self.become_text(lexer, budget);
        };
        if depth >= budget.depth_max {
            return self.become_text(lexer, budget);
        }
        let mut open = lexer.open(b']')?;
        while open {
            items.see(lexer, depth + 1, budget)?;
            open = lexer.more(b']')?;
        }
        Ok(())
    }

    fn see_object(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if matches!(self, Self::Unknown) {
            *self = Self::Struct(Members::default());
        }
        let Self::Struct(members) = self else {
            return self.become_text(lexer, budget);
        };
        if depth >= budget.depth_max {
            return self.become_text(lexer, budget);
        }
        let place = lexer.place();
        let mut open = lexer.open(b'}')?;
        let mut text = Vec::new();
        while open {
            text.clear();
            lexer.key()?.put(&mut text);
            lexer.colon()?;
            let key = String::from_utf8_lossy(&text);
            let most = budget.struct_columns_max;
            if members.list.len() >= most && !members.index.contains_key(&*key) {
                // An object of that many different members is a dictionary.
                lexer.back_to(place);
                return self.become_text(lexer, budget);
            }
            match members.member(&key, 0, most, budget) {
                Some(shape) => shape.see(lexer, depth + 1, budget)?,
                None => {
                    lexer.skip()?;
                }
            }
            open = lexer.more(b'}')?;
        }
        Ok(())
    }

    /// How many columns of structs are in it.
    fn columns(&self) -> usize {
        match self {
            Self::Array(items) => items.columns(),
            Self::Struct(members) => members.list.iter().map(|(_, s)| 1 + s.columns()).sum(),
            _ => 0,
        }
    }

    /// Whether a column can be made of it: something was there but nulls, empty objects and empty
    /// arrays.
    pub(crate) fn is_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Array(items) => items.is_known(),
            Self::Struct(members) => {
                members.rest || members.list.iter().any(|(_, shape)| shape.is_known())
            }
            _ => true,
        }
    }
}
