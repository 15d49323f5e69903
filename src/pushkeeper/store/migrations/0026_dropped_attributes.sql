-- What the last registration of a device brought that could not be kept: the names of attributes, each with the reason.

alter table devices add column dropped_attributes jsonb not null default '{}';
