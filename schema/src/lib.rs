//! Migrations, rule packs and demo lists.
