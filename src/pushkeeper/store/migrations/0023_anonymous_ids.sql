-- Anonymous ids name nobody any more: they tie events and devices to the first person who identifies with them, once.

create table anonymous_ids (
    workspace_id bigint not null,
    anonymous_id text not null,
    person_id    bigint not null,
    primary key (workspace_id, anonymous_id),
    foreign key (workspace_id, person_id) references people on delete cascade
);
create index anonymous_ids_of_person on anonymous_ids (workspace_id, person_id);

insert into anonymous_ids (workspace_id, anonymous_id, person_id)
select workspace_id, key, person_id from identifiers where kind = 'anonymous_id';
delete from identifiers where kind = 'anonymous_id';
delete from blocked where kind = 'anonymous_id';

drop index identifiers_of_person;
create unique index identifiers_of_person on identifiers (workspace_id, person_id, kind);
alter table identifiers
    drop constraint identifiers_kind_check,
    add check (kind in ('id', 'email'));
