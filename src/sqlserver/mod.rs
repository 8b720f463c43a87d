//! What the SQL instance says about itself and its connections.
