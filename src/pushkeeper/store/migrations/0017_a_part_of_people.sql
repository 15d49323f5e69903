-- One person in 64, which an estimate looks at instead of all of them (store/audiences/audiences.py).
create index people_part on people (workspace_id) where hashint8(person_id) & 63 = 0;
