mod found;
mod laws;
mod world;
