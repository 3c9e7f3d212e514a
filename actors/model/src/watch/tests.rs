mod laws;
mod world;
