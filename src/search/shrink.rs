//! Making a failing schedule smaller.
