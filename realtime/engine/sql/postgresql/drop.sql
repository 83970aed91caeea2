DROP TABLE tocsin_entry;
DROP TABLE tocsin_log;
DROP TABLE tocsin_head;
DROP TABLE tocsin_namespace;
DROP TABLE tocsin_life;
