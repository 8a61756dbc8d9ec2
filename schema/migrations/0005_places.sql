-- Believing verified addresses: a seller's own choice. What the number alone says of the place is then left
-- out for contacts whose address was verified and agrees with itself; every verdict that used it says so.
ALTER TABLE seller ADD narrows_by_verified_address boolean NOT NULL DEFAULT false;
ALTER TABLE contact ADD address_verified boolean NOT NULL DEFAULT false;
