-- How far an undo has come: of how many devices it takes strikes back, and when it last did.
alter table undos
    add column meant_devices bigint,
    add column advanced_at timestamptz;
