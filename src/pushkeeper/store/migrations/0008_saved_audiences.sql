-- Saved audiences: segments with a filter, whose members are whoever it is true of when that is asked.

-- `filter` is a tree, or a text; null: a list of people that is kept by hand. `unit` is what it is read of.
alter table segments
    add column filter jsonb,
    add column unit   text check (unit in ('device', 'person')),
    add check ((filter is null) = (unit is null));
