BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE authenticatable (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	type VARCHAR(16) NOT NULL, 
	ip VARCHAR(64), 
	last_seen DATETIME, 
	status VARCHAR(16)
);
INSERT INTO "authenticatable" VALUES(1,'user',NULL,NULL,NULL);
INSERT INTO "authenticatable" VALUES(2,'user',NULL,NULL,NULL);
INSERT INTO "authenticatable" VALUES(3,'node',NULL,NULL,NULL);
INSERT INTO "authenticatable" VALUES(4,'node',NULL,NULL,NULL);
CREATE TABLE collaboration (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(128) NOT NULL, 
	encrypted BOOLEAN NOT NULL, 
	CONSTRAINT uq_collaboration_name UNIQUE (name)
);
INSERT INTO "collaboration" VALUES(1,'trial',0);
INSERT INTO "collaboration" VALUES(2,'empty',1);
CREATE TABLE counter (
	name VARCHAR(64) NOT NULL, 
	value INTEGER NOT NULL, 
	CONSTRAINT pk_counter PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('job',3);
CREATE TABLE member (
	collaboration_id INTEGER NOT NULL, 
	organization_id INTEGER NOT NULL, 
	CONSTRAINT pk_member PRIMARY KEY (collaboration_id, organization_id), 
	CONSTRAINT fk_member_collaboration_id FOREIGN KEY(collaboration_id) REFERENCES collaboration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_member_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE
);
INSERT INTO "member" VALUES(1,1);
INSERT INTO "member" VALUES(1,2);
CREATE TABLE node (
	id INTEGER NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	api_key_hash VARCHAR(64) NOT NULL, 
	collaboration_id INTEGER, 
	organization_id INTEGER NOT NULL, 
	config JSON NOT NULL, 
	CONSTRAINT pk_node PRIMARY KEY (id), 
	CONSTRAINT fk_node_collaboration_id FOREIGN KEY(collaboration_id) REFERENCES collaboration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_node_id FOREIGN KEY(id) REFERENCES authenticatable (id) ON DELETE CASCADE, 
	CONSTRAINT fk_node_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE, 
	CONSTRAINT uq_node_api_key_hash UNIQUE (api_key_hash), 
	CONSTRAINT uq_node_name UNIQUE (name), 
	CONSTRAINT uq_node_organization_id_collaboration_id UNIQUE (organization_id, collaboration_id)
);
INSERT INTO "node" VALUES(3,'Hôpital Saint-Élie - trial Node','bd7662a5eeb41614e720d477abfcb2272e19a8a70a93b7e3bc8560d44ad326e9',1,1,'[]');
INSERT INTO "node" VALUES(4,'Utrecht - trial Node','b454f82c5857ebabf342b7258e5cf7def78b7cd975814119462973de9a38df10',1,2,'[]');
CREATE TABLE organization (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(128) NOT NULL, 
	domain VARCHAR(128), 
	address1 VARCHAR(128), 
	address2 VARCHAR(128), 
	zipcode VARCHAR(128), 
	country VARCHAR(128), 
	public_key BLOB, 
	CONSTRAINT uq_organization_name UNIQUE (name)
);
INSERT INTO "organization" VALUES(1,'Hôpital Saint-Élie','example.org','1 rue',NULL,'0123','France',X'736F6D65206B6579');
INSERT INTO "organization" VALUES(2,'Utrecht',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE payload (
	run_id INTEGER NOT NULL, 
	log TEXT, 
	result TEXT, 
	input TEXT NOT NULL, 
	CONSTRAINT pk_payload PRIMARY KEY (run_id), 
	CONSTRAINT fk_payload_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "payload" VALUES(1,NULL,NULL,'eyJhIjogImIifQ==');
INSERT INTO "payload" VALUES(2,NULL,NULL,'eyJhIjogImIifQ==');
INSERT INTO "payload" VALUES(3,'line one
line two: ≥','eyJhdmVyYWdlIjogMjcuNn0=','eyJtZXRob2QiOiAiYSJ9');
INSERT INTO "payload" VALUES(4,'line one
line two: ≥','eyJhdmVyYWdlIjogMjcuNn0=','eyJtZXRob2QiOiAiYSJ9');
INSERT INTO "payload" VALUES(5,'line one
line two: ≥','eyJhdmVyYWdlIjogMjcuNn0=','eyJtZXRob2QiOiAiYSJ9');
INSERT INTO "payload" VALUES(6,'line one
line two: ≥','eyJhdmVyYWdlIjogMjcuNn0=','eyJtZXRob2QiOiAiYSJ9');
CREATE TABLE role (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(128) NOT NULL, 
	description VARCHAR(1024), 
	organization_id INTEGER, 
	is_default_role BOOLEAN NOT NULL, 
	CONSTRAINT fk_role_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE
);
INSERT INTO "role" VALUES(1,'Root','All rules',NULL,1);
INSERT INTO "role" VALUES(2,'container','What a running algorithm may do',NULL,1);
INSERT INTO "role" VALUES(3,'node','What a node may do',NULL,1);
INSERT INTO "role" VALUES(4,'Viewer','Look at the collaborations of the organization',NULL,1);
INSERT INTO "role" VALUES(5,'Researcher','Look, and run tasks',NULL,1);
INSERT INTO "role" VALUES(6,'Organization Admin','Look, and manage the own organization',NULL,1);
INSERT INTO "role" VALUES(7,'Collaboration Admin','Run tasks, and manage the collaborations of the organization',NULL,1);
INSERT INTO "role" VALUES(8,'super','Super user',1,0);
INSERT INTO "role" VALUES(9,'super','Super user',2,0);
CREATE TABLE role_rule (
	role_id INTEGER NOT NULL, 
	rule_id INTEGER NOT NULL, 
	CONSTRAINT pk_role_rule PRIMARY KEY (role_id, rule_id), 
	CONSTRAINT fk_role_rule_role_id FOREIGN KEY(role_id) REFERENCES role (id) ON DELETE CASCADE, 
	CONSTRAINT fk_role_rule_rule_id FOREIGN KEY(rule_id) REFERENCES rule (id) ON DELETE CASCADE
);
INSERT INTO "role_rule" VALUES(1,1);
INSERT INTO "role_rule" VALUES(1,2);
INSERT INTO "role_rule" VALUES(1,3);
INSERT INTO "role_rule" VALUES(1,4);
INSERT INTO "role_rule" VALUES(1,5);
INSERT INTO "role_rule" VALUES(1,6);
INSERT INTO "role_rule" VALUES(1,7);
INSERT INTO "role_rule" VALUES(1,8);
INSERT INTO "role_rule" VALUES(1,9);
INSERT INTO "role_rule" VALUES(1,10);
INSERT INTO "role_rule" VALUES(1,11);
INSERT INTO "role_rule" VALUES(1,12);
INSERT INTO "role_rule" VALUES(1,13);
INSERT INTO "role_rule" VALUES(1,14);
INSERT INTO "role_rule" VALUES(1,15);
INSERT INTO "role_rule" VALUES(1,16);
INSERT INTO "role_rule" VALUES(1,17);
INSERT INTO "role_rule" VALUES(1,18);
INSERT INTO "role_rule" VALUES(1,19);
INSERT INTO "role_rule" VALUES(1,20);
INSERT INTO "role_rule" VALUES(1,21);
INSERT INTO "role_rule" VALUES(1,22);
INSERT INTO "role_rule" VALUES(1,23);
INSERT INTO "role_rule" VALUES(1,24);
INSERT INTO "role_rule" VALUES(1,25);
INSERT INTO "role_rule" VALUES(1,26);
INSERT INTO "role_rule" VALUES(1,27);
INSERT INTO "role_rule" VALUES(1,28);
INSERT INTO "role_rule" VALUES(1,29);
INSERT INTO "role_rule" VALUES(1,30);
INSERT INTO "role_rule" VALUES(1,31);
INSERT INTO "role_rule" VALUES(1,32);
INSERT INTO "role_rule" VALUES(1,33);
INSERT INTO "role_rule" VALUES(1,34);
INSERT INTO "role_rule" VALUES(1,35);
INSERT INTO "role_rule" VALUES(1,36);
INSERT INTO "role_rule" VALUES(1,37);
INSERT INTO "role_rule" VALUES(1,38);
INSERT INTO "role_rule" VALUES(1,39);
INSERT INTO "role_rule" VALUES(1,40);
INSERT INTO "role_rule" VALUES(1,41);
INSERT INTO "role_rule" VALUES(1,42);
INSERT INTO "role_rule" VALUES(1,43);
INSERT INTO "role_rule" VALUES(1,44);
INSERT INTO "role_rule" VALUES(1,45);
INSERT INTO "role_rule" VALUES(1,46);
INSERT INTO "role_rule" VALUES(1,47);
INSERT INTO "role_rule" VALUES(1,48);
INSERT INTO "role_rule" VALUES(1,49);
INSERT INTO "role_rule" VALUES(1,50);
INSERT INTO "role_rule" VALUES(1,51);
INSERT INTO "role_rule" VALUES(1,52);
INSERT INTO "role_rule" VALUES(1,53);
INSERT INTO "role_rule" VALUES(1,54);
INSERT INTO "role_rule" VALUES(1,55);
INSERT INTO "role_rule" VALUES(1,56);
INSERT INTO "role_rule" VALUES(1,57);
INSERT INTO "role_rule" VALUES(1,58);
INSERT INTO "role_rule" VALUES(1,59);
INSERT INTO "role_rule" VALUES(1,60);
INSERT INTO "role_rule" VALUES(1,61);
INSERT INTO "role_rule" VALUES(1,62);
INSERT INTO "role_rule" VALUES(1,63);
INSERT INTO "role_rule" VALUES(1,64);
INSERT INTO "role_rule" VALUES(1,65);
INSERT INTO "role_rule" VALUES(1,66);
INSERT INTO "role_rule" VALUES(1,67);
INSERT INTO "role_rule" VALUES(1,68);
INSERT INTO "role_rule" VALUES(1,69);
INSERT INTO "role_rule" VALUES(1,70);
INSERT INTO "role_rule" VALUES(1,71);
INSERT INTO "role_rule" VALUES(1,72);
INSERT INTO "role_rule" VALUES(1,73);
INSERT INTO "role_rule" VALUES(1,74);
INSERT INTO "role_rule" VALUES(1,75);
INSERT INTO "role_rule" VALUES(1,76);
INSERT INTO "role_rule" VALUES(1,77);
INSERT INTO "role_rule" VALUES(1,78);
INSERT INTO "role_rule" VALUES(1,79);
INSERT INTO "role_rule" VALUES(1,80);
INSERT INTO "role_rule" VALUES(1,81);
INSERT INTO "role_rule" VALUES(1,82);
INSERT INTO "role_rule" VALUES(1,83);
INSERT INTO "role_rule" VALUES(1,84);
INSERT INTO "role_rule" VALUES(1,85);
INSERT INTO "role_rule" VALUES(1,86);
INSERT INTO "role_rule" VALUES(2,3);
INSERT INTO "role_rule" VALUES(2,14);
INSERT INTO "role_rule" VALUES(2,21);
INSERT INTO "role_rule" VALUES(2,22);
INSERT INTO "role_rule" VALUES(2,29);
INSERT INTO "role_rule" VALUES(2,39);
INSERT INTO "role_rule" VALUES(2,69);
INSERT INTO "role_rule" VALUES(2,77);
INSERT INTO "role_rule" VALUES(3,3);
INSERT INTO "role_rule" VALUES(3,6);
INSERT INTO "role_rule" VALUES(3,14);
INSERT INTO "role_rule" VALUES(3,21);
INSERT INTO "role_rule" VALUES(3,22);
INSERT INTO "role_rule" VALUES(3,24);
INSERT INTO "role_rule" VALUES(3,29);
INSERT INTO "role_rule" VALUES(3,39);
INSERT INTO "role_rule" VALUES(3,69);
INSERT INTO "role_rule" VALUES(3,77);
INSERT INTO "role_rule" VALUES(4,2);
INSERT INTO "role_rule" VALUES(4,3);
INSERT INTO "role_rule" VALUES(4,14);
INSERT INTO "role_rule" VALUES(4,21);
INSERT INTO "role_rule" VALUES(4,22);
INSERT INTO "role_rule" VALUES(4,29);
INSERT INTO "role_rule" VALUES(4,39);
INSERT INTO "role_rule" VALUES(4,44);
INSERT INTO "role_rule" VALUES(4,51);
INSERT INTO "role_rule" VALUES(4,55);
INSERT INTO "role_rule" VALUES(4,58);
INSERT INTO "role_rule" VALUES(4,69);
INSERT INTO "role_rule" VALUES(4,70);
INSERT INTO "role_rule" VALUES(4,71);
INSERT INTO "role_rule" VALUES(4,77);
INSERT INTO "role_rule" VALUES(5,2);
INSERT INTO "role_rule" VALUES(5,3);
INSERT INTO "role_rule" VALUES(5,14);
INSERT INTO "role_rule" VALUES(5,21);
INSERT INTO "role_rule" VALUES(5,22);
INSERT INTO "role_rule" VALUES(5,29);
INSERT INTO "role_rule" VALUES(5,33);
INSERT INTO "role_rule" VALUES(5,36);
INSERT INTO "role_rule" VALUES(5,39);
INSERT INTO "role_rule" VALUES(5,44);
INSERT INTO "role_rule" VALUES(5,51);
INSERT INTO "role_rule" VALUES(5,55);
INSERT INTO "role_rule" VALUES(5,58);
INSERT INTO "role_rule" VALUES(5,69);
INSERT INTO "role_rule" VALUES(5,70);
INSERT INTO "role_rule" VALUES(5,71);
INSERT INTO "role_rule" VALUES(5,77);
INSERT INTO "role_rule" VALUES(6,2);
INSERT INTO "role_rule" VALUES(6,3);
INSERT INTO "role_rule" VALUES(6,6);
INSERT INTO "role_rule" VALUES(6,9);
INSERT INTO "role_rule" VALUES(6,14);
INSERT INTO "role_rule" VALUES(6,21);
INSERT INTO "role_rule" VALUES(6,22);
INSERT INTO "role_rule" VALUES(6,24);
INSERT INTO "role_rule" VALUES(6,29);
INSERT INTO "role_rule" VALUES(6,39);
INSERT INTO "role_rule" VALUES(6,44);
INSERT INTO "role_rule" VALUES(6,47);
INSERT INTO "role_rule" VALUES(6,50);
INSERT INTO "role_rule" VALUES(6,51);
INSERT INTO "role_rule" VALUES(6,54);
INSERT INTO "role_rule" VALUES(6,55);
INSERT INTO "role_rule" VALUES(6,58);
INSERT INTO "role_rule" VALUES(6,61);
INSERT INTO "role_rule" VALUES(6,64);
INSERT INTO "role_rule" VALUES(6,67);
INSERT INTO "role_rule" VALUES(6,69);
INSERT INTO "role_rule" VALUES(6,70);
INSERT INTO "role_rule" VALUES(6,71);
INSERT INTO "role_rule" VALUES(6,73);
INSERT INTO "role_rule" VALUES(6,77);
INSERT INTO "role_rule" VALUES(7,2);
INSERT INTO "role_rule" VALUES(7,3);
INSERT INTO "role_rule" VALUES(7,6);
INSERT INTO "role_rule" VALUES(7,8);
INSERT INTO "role_rule" VALUES(7,9);
INSERT INTO "role_rule" VALUES(7,11);
INSERT INTO "role_rule" VALUES(7,14);
INSERT INTO "role_rule" VALUES(7,16);
INSERT INTO "role_rule" VALUES(7,20);
INSERT INTO "role_rule" VALUES(7,21);
INSERT INTO "role_rule" VALUES(7,22);
INSERT INTO "role_rule" VALUES(7,24);
INSERT INTO "role_rule" VALUES(7,25);
INSERT INTO "role_rule" VALUES(7,29);
INSERT INTO "role_rule" VALUES(7,33);
INSERT INTO "role_rule" VALUES(7,36);
INSERT INTO "role_rule" VALUES(7,39);
INSERT INTO "role_rule" VALUES(7,43);
INSERT INTO "role_rule" VALUES(7,44);
INSERT INTO "role_rule" VALUES(7,46);
INSERT INTO "role_rule" VALUES(7,47);
INSERT INTO "role_rule" VALUES(7,49);
INSERT INTO "role_rule" VALUES(7,50);
INSERT INTO "role_rule" VALUES(7,51);
INSERT INTO "role_rule" VALUES(7,54);
INSERT INTO "role_rule" VALUES(7,55);
INSERT INTO "role_rule" VALUES(7,57);
INSERT INTO "role_rule" VALUES(7,58);
INSERT INTO "role_rule" VALUES(7,61);
INSERT INTO "role_rule" VALUES(7,64);
INSERT INTO "role_rule" VALUES(7,67);
INSERT INTO "role_rule" VALUES(7,69);
INSERT INTO "role_rule" VALUES(7,70);
INSERT INTO "role_rule" VALUES(7,71);
INSERT INTO "role_rule" VALUES(7,73);
INSERT INTO "role_rule" VALUES(7,74);
INSERT INTO "role_rule" VALUES(7,77);
INSERT INTO "role_rule" VALUES(7,78);
INSERT INTO "role_rule" VALUES(7,80);
INSERT INTO "role_rule" VALUES(7,83);
INSERT INTO "role_rule" VALUES(7,85);
INSERT INTO "role_rule" VALUES(8,17);
INSERT INTO "role_rule" VALUES(8,19);
INSERT INTO "role_rule" VALUES(8,18);
INSERT INTO "role_rule" VALUES(8,16);
INSERT INTO "role_rule" VALUES(8,15);
INSERT INTO "role_rule" VALUES(8,13);
INSERT INTO "role_rule" VALUES(8,14);
INSERT INTO "role_rule" VALUES(8,71);
INSERT INTO "role_rule" VALUES(8,72);
INSERT INTO "role_rule" VALUES(8,70);
INSERT INTO "role_rule" VALUES(8,74);
INSERT INTO "role_rule" VALUES(8,75);
INSERT INTO "role_rule" VALUES(8,73);
INSERT INTO "role_rule" VALUES(8,8);
INSERT INTO "role_rule" VALUES(8,7);
INSERT INTO "role_rule" VALUES(8,9);
INSERT INTO "role_rule" VALUES(8,11);
INSERT INTO "role_rule" VALUES(8,10);
INSERT INTO "role_rule" VALUES(8,12);
INSERT INTO "role_rule" VALUES(8,5);
INSERT INTO "role_rule" VALUES(8,4);
INSERT INTO "role_rule" VALUES(8,6);
INSERT INTO "role_rule" VALUES(8,2);
INSERT INTO "role_rule" VALUES(8,1);
INSERT INTO "role_rule" VALUES(8,3);
INSERT INTO "role_rule" VALUES(8,26);
INSERT INTO "role_rule" VALUES(8,27);
INSERT INTO "role_rule" VALUES(8,25);
INSERT INTO "role_rule" VALUES(8,23);
INSERT INTO "role_rule" VALUES(8,24);
INSERT INTO "role_rule" VALUES(8,22);
INSERT INTO "role_rule" VALUES(8,20);
INSERT INTO "role_rule" VALUES(8,21);
INSERT INTO "role_rule" VALUES(8,68);
INSERT INTO "role_rule" VALUES(8,69);
INSERT INTO "role_rule" VALUES(8,60);
INSERT INTO "role_rule" VALUES(8,59);
INSERT INTO "role_rule" VALUES(8,61);
INSERT INTO "role_rule" VALUES(8,66);
INSERT INTO "role_rule" VALUES(8,65);
INSERT INTO "role_rule" VALUES(8,67);
INSERT INTO "role_rule" VALUES(8,63);
INSERT INTO "role_rule" VALUES(8,62);
INSERT INTO "role_rule" VALUES(8,64);
INSERT INTO "role_rule" VALUES(8,57);
INSERT INTO "role_rule" VALUES(8,56);
INSERT INTO "role_rule" VALUES(8,58);
INSERT INTO "role_rule" VALUES(8,39);
INSERT INTO "role_rule" VALUES(8,38);
INSERT INTO "role_rule" VALUES(8,40);
INSERT INTO "role_rule" VALUES(8,41);
INSERT INTO "role_rule" VALUES(8,83);
INSERT INTO "role_rule" VALUES(8,82);
INSERT INTO "role_rule" VALUES(8,85);
INSERT INTO "role_rule" VALUES(8,84);
INSERT INTO "role_rule" VALUES(8,86);
INSERT INTO "role_rule" VALUES(8,80);
INSERT INTO "role_rule" VALUES(8,79);
INSERT INTO "role_rule" VALUES(8,81);
INSERT INTO "role_rule" VALUES(8,78);
INSERT INTO "role_rule" VALUES(8,76);
INSERT INTO "role_rule" VALUES(8,77);
INSERT INTO "role_rule" VALUES(8,33);
INSERT INTO "role_rule" VALUES(8,32);
INSERT INTO "role_rule" VALUES(8,35);
INSERT INTO "role_rule" VALUES(8,34);
INSERT INTO "role_rule" VALUES(8,36);
INSERT INTO "role_rule" VALUES(8,37);
INSERT INTO "role_rule" VALUES(8,29);
INSERT INTO "role_rule" VALUES(8,28);
INSERT INTO "role_rule" VALUES(8,30);
INSERT INTO "role_rule" VALUES(8,31);
INSERT INTO "role_rule" VALUES(8,46);
INSERT INTO "role_rule" VALUES(8,45);
INSERT INTO "role_rule" VALUES(8,47);
INSERT INTO "role_rule" VALUES(8,53);
INSERT INTO "role_rule" VALUES(8,52);
INSERT INTO "role_rule" VALUES(8,54);
INSERT INTO "role_rule" VALUES(8,55);
INSERT INTO "role_rule" VALUES(8,49);
INSERT INTO "role_rule" VALUES(8,48);
INSERT INTO "role_rule" VALUES(8,50);
INSERT INTO "role_rule" VALUES(8,51);
INSERT INTO "role_rule" VALUES(8,43);
INSERT INTO "role_rule" VALUES(8,42);
INSERT INTO "role_rule" VALUES(8,44);
INSERT INTO "role_rule" VALUES(9,17);
INSERT INTO "role_rule" VALUES(9,19);
INSERT INTO "role_rule" VALUES(9,18);
INSERT INTO "role_rule" VALUES(9,16);
INSERT INTO "role_rule" VALUES(9,15);
INSERT INTO "role_rule" VALUES(9,13);
INSERT INTO "role_rule" VALUES(9,14);
INSERT INTO "role_rule" VALUES(9,71);
INSERT INTO "role_rule" VALUES(9,72);
INSERT INTO "role_rule" VALUES(9,70);
INSERT INTO "role_rule" VALUES(9,74);
INSERT INTO "role_rule" VALUES(9,75);
INSERT INTO "role_rule" VALUES(9,73);
INSERT INTO "role_rule" VALUES(9,8);
INSERT INTO "role_rule" VALUES(9,7);
INSERT INTO "role_rule" VALUES(9,9);
INSERT INTO "role_rule" VALUES(9,11);
INSERT INTO "role_rule" VALUES(9,10);
INSERT INTO "role_rule" VALUES(9,12);
INSERT INTO "role_rule" VALUES(9,5);
INSERT INTO "role_rule" VALUES(9,4);
INSERT INTO "role_rule" VALUES(9,6);
INSERT INTO "role_rule" VALUES(9,2);
INSERT INTO "role_rule" VALUES(9,1);
INSERT INTO "role_rule" VALUES(9,3);
INSERT INTO "role_rule" VALUES(9,26);
INSERT INTO "role_rule" VALUES(9,27);
INSERT INTO "role_rule" VALUES(9,25);
INSERT INTO "role_rule" VALUES(9,23);
INSERT INTO "role_rule" VALUES(9,24);
INSERT INTO "role_rule" VALUES(9,22);
INSERT INTO "role_rule" VALUES(9,20);
INSERT INTO "role_rule" VALUES(9,21);
INSERT INTO "role_rule" VALUES(9,68);
INSERT INTO "role_rule" VALUES(9,69);
INSERT INTO "role_rule" VALUES(9,60);
INSERT INTO "role_rule" VALUES(9,59);
INSERT INTO "role_rule" VALUES(9,61);
INSERT INTO "role_rule" VALUES(9,66);
INSERT INTO "role_rule" VALUES(9,65);
INSERT INTO "role_rule" VALUES(9,67);
INSERT INTO "role_rule" VALUES(9,63);
INSERT INTO "role_rule" VALUES(9,62);
INSERT INTO "role_rule" VALUES(9,64);
INSERT INTO "role_rule" VALUES(9,57);
INSERT INTO "role_rule" VALUES(9,56);
INSERT INTO "role_rule" VALUES(9,58);
INSERT INTO "role_rule" VALUES(9,39);
INSERT INTO "role_rule" VALUES(9,38);
INSERT INTO "role_rule" VALUES(9,40);
INSERT INTO "role_rule" VALUES(9,41);
INSERT INTO "role_rule" VALUES(9,83);
INSERT INTO "role_rule" VALUES(9,82);
INSERT INTO "role_rule" VALUES(9,85);
INSERT INTO "role_rule" VALUES(9,84);
INSERT INTO "role_rule" VALUES(9,86);
INSERT INTO "role_rule" VALUES(9,80);
INSERT INTO "role_rule" VALUES(9,79);
INSERT INTO "role_rule" VALUES(9,81);
INSERT INTO "role_rule" VALUES(9,78);
INSERT INTO "role_rule" VALUES(9,76);
INSERT INTO "role_rule" VALUES(9,77);
INSERT INTO "role_rule" VALUES(9,33);
INSERT INTO "role_rule" VALUES(9,32);
INSERT INTO "role_rule" VALUES(9,35);
INSERT INTO "role_rule" VALUES(9,34);
INSERT INTO "role_rule" VALUES(9,36);
INSERT INTO "role_rule" VALUES(9,37);
INSERT INTO "role_rule" VALUES(9,29);
INSERT INTO "role_rule" VALUES(9,28);
INSERT INTO "role_rule" VALUES(9,30);
INSERT INTO "role_rule" VALUES(9,31);
INSERT INTO "role_rule" VALUES(9,46);
INSERT INTO "role_rule" VALUES(9,45);
INSERT INTO "role_rule" VALUES(9,47);
INSERT INTO "role_rule" VALUES(9,53);
INSERT INTO "role_rule" VALUES(9,52);
INSERT INTO "role_rule" VALUES(9,54);
INSERT INTO "role_rule" VALUES(9,55);
INSERT INTO "role_rule" VALUES(9,49);
INSERT INTO "role_rule" VALUES(9,48);
INSERT INTO "role_rule" VALUES(9,50);
INSERT INTO "role_rule" VALUES(9,51);
INSERT INTO "role_rule" VALUES(9,43);
INSERT INTO "role_rule" VALUES(9,42);
INSERT INTO "role_rule" VALUES(9,44);
CREATE TABLE rule (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	operation VARCHAR(16) NOT NULL, 
	scope VARCHAR(16) NOT NULL, 
	description TEXT NOT NULL, 
	CONSTRAINT pk_rule PRIMARY KEY (id), 
	CONSTRAINT uq_rule_name_operation_scope UNIQUE (name, operation, scope)
);
INSERT INTO "rule" VALUES(1,'node','VIEW','GLOBAL','See nodes of everybody');
INSERT INTO "rule" VALUES(2,'node','VIEW','COLLABORATION','See nodes within the collaborations of your organization');
INSERT INTO "rule" VALUES(3,'node','VIEW','ORGANIZATION','See nodes of your own organization');
INSERT INTO "rule" VALUES(4,'node','EDIT','GLOBAL','Change nodes of everybody');
INSERT INTO "rule" VALUES(5,'node','EDIT','COLLABORATION','Change nodes within the collaborations of your organization');
INSERT INTO "rule" VALUES(6,'node','EDIT','ORGANIZATION','Change nodes of your own organization');
INSERT INTO "rule" VALUES(7,'node','CREATE','GLOBAL','Create nodes of everybody');
INSERT INTO "rule" VALUES(8,'node','CREATE','COLLABORATION','Create nodes within the collaborations of your organization');
INSERT INTO "rule" VALUES(9,'node','CREATE','ORGANIZATION','Create nodes of your own organization');
INSERT INTO "rule" VALUES(10,'node','DELETE','GLOBAL','Delete nodes of everybody');
INSERT INTO "rule" VALUES(11,'node','DELETE','COLLABORATION','Delete nodes within the collaborations of your organization');
INSERT INTO "rule" VALUES(12,'node','DELETE','ORGANIZATION','Delete nodes of your own organization');
INSERT INTO "rule" VALUES(13,'collaboration','VIEW','GLOBAL','See collaborations of everybody');
INSERT INTO "rule" VALUES(14,'collaboration','VIEW','ORGANIZATION','See collaborations of your own organization');
INSERT INTO "rule" VALUES(15,'collaboration','EDIT','GLOBAL','Change collaborations of everybody');
INSERT INTO "rule" VALUES(16,'collaboration','EDIT','COLLABORATION','Change collaborations within the collaborations of your organization');
INSERT INTO "rule" VALUES(17,'collaboration','CREATE','GLOBAL','Create collaborations of everybody');
INSERT INTO "rule" VALUES(18,'collaboration','DELETE','GLOBAL','Delete collaborations of everybody');
INSERT INTO "rule" VALUES(19,'collaboration','DELETE','COLLABORATION','Delete collaborations within the collaborations of your organization');
INSERT INTO "rule" VALUES(20,'organization','VIEW','GLOBAL','See organizations of everybody');
INSERT INTO "rule" VALUES(21,'organization','VIEW','ORGANIZATION','See organizations of your own organization');
INSERT INTO "rule" VALUES(22,'organization','VIEW','COLLABORATION','See organizations within the collaborations of your organization');
INSERT INTO "rule" VALUES(23,'organization','EDIT','GLOBAL','Change organizations of everybody');
INSERT INTO "rule" VALUES(24,'organization','EDIT','ORGANIZATION','Change organizations of your own organization');
INSERT INTO "rule" VALUES(25,'organization','EDIT','COLLABORATION','Change organizations within the collaborations of your organization');
INSERT INTO "rule" VALUES(26,'organization','CREATE','GLOBAL','Create organizations of everybody');
INSERT INTO "rule" VALUES(27,'organization','DELETE','GLOBAL','Delete organizations of everybody');
INSERT INTO "rule" VALUES(28,'task','VIEW','GLOBAL','See tasks of everybody');
INSERT INTO "rule" VALUES(29,'task','VIEW','COLLABORATION','See tasks within the collaborations of your organization');
INSERT INTO "rule" VALUES(30,'task','VIEW','ORGANIZATION','See tasks of your own organization');
INSERT INTO "rule" VALUES(31,'task','VIEW','OWN','See tasks of your own');
INSERT INTO "rule" VALUES(32,'task','CREATE','GLOBAL','Create tasks of everybody');
INSERT INTO "rule" VALUES(33,'task','CREATE','COLLABORATION','Create tasks within the collaborations of your organization');
INSERT INTO "rule" VALUES(34,'task','DELETE','GLOBAL','Delete tasks of everybody');
INSERT INTO "rule" VALUES(35,'task','DELETE','COLLABORATION','Delete tasks within the collaborations of your organization');
INSERT INTO "rule" VALUES(36,'task','DELETE','ORGANIZATION','Delete tasks of your own organization');
INSERT INTO "rule" VALUES(37,'task','DELETE','OWN','Delete tasks of your own');
INSERT INTO "rule" VALUES(38,'run','VIEW','GLOBAL','See runs and results of everybody');
INSERT INTO "rule" VALUES(39,'run','VIEW','COLLABORATION','See runs and results within the collaborations of your organization');
INSERT INTO "rule" VALUES(40,'run','VIEW','ORGANIZATION','See runs and results of your own organization');
INSERT INTO "rule" VALUES(41,'run','VIEW','OWN','See runs and results of your own');
INSERT INTO "rule" VALUES(42,'user','VIEW','GLOBAL','See users of everybody');
INSERT INTO "rule" VALUES(43,'user','VIEW','COLLABORATION','See users within the collaborations of your organization');
INSERT INTO "rule" VALUES(44,'user','VIEW','ORGANIZATION','See users of your own organization');
INSERT INTO "rule" VALUES(45,'user','CREATE','GLOBAL','Create users of everybody');
INSERT INTO "rule" VALUES(46,'user','CREATE','COLLABORATION','Create users within the collaborations of your organization');
INSERT INTO "rule" VALUES(47,'user','CREATE','ORGANIZATION','Create users of your own organization');
INSERT INTO "rule" VALUES(48,'user','EDIT','GLOBAL','Change users of everybody');
INSERT INTO "rule" VALUES(49,'user','EDIT','COLLABORATION','Change users within the collaborations of your organization');
INSERT INTO "rule" VALUES(50,'user','EDIT','ORGANIZATION','Change users of your own organization');
INSERT INTO "rule" VALUES(51,'user','EDIT','OWN','Change users of your own');
INSERT INTO "rule" VALUES(52,'user','DELETE','GLOBAL','Delete users of everybody');
INSERT INTO "rule" VALUES(53,'user','DELETE','COLLABORATION','Delete users within the collaborations of your organization');
INSERT INTO "rule" VALUES(54,'user','DELETE','ORGANIZATION','Delete users of your own organization');
INSERT INTO "rule" VALUES(55,'user','DELETE','OWN','Delete users of your own');
INSERT INTO "rule" VALUES(56,'role','VIEW','GLOBAL','See roles of everybody');
INSERT INTO "rule" VALUES(57,'role','VIEW','COLLABORATION','See roles within the collaborations of your organization');
INSERT INTO "rule" VALUES(58,'role','VIEW','ORGANIZATION','See roles of your own organization');
INSERT INTO "rule" VALUES(59,'role','CREATE','GLOBAL','Create roles of everybody');
INSERT INTO "rule" VALUES(60,'role','CREATE','COLLABORATION','Create roles within the collaborations of your organization');
INSERT INTO "rule" VALUES(61,'role','CREATE','ORGANIZATION','Create roles of your own organization');
INSERT INTO "rule" VALUES(62,'role','EDIT','GLOBAL','Change roles of everybody');
INSERT INTO "rule" VALUES(63,'role','EDIT','COLLABORATION','Change roles within the collaborations of your organization');
INSERT INTO "rule" VALUES(64,'role','EDIT','ORGANIZATION','Change roles of your own organization');
INSERT INTO "rule" VALUES(65,'role','DELETE','GLOBAL','Delete roles of everybody');
INSERT INTO "rule" VALUES(66,'role','DELETE','COLLABORATION','Delete roles within the collaborations of your organization');
INSERT INTO "rule" VALUES(67,'role','DELETE','ORGANIZATION','Delete roles of your own organization');
INSERT INTO "rule" VALUES(68,'port','VIEW','GLOBAL','See ports of everybody');
INSERT INTO "rule" VALUES(69,'port','VIEW','ORGANIZATION','See ports of your own organization');
INSERT INTO "rule" VALUES(70,'event','RECEIVE','ORGANIZATION','Follow what happens by receiving events of your own organization');
INSERT INTO "rule" VALUES(71,'event','RECEIVE','COLLABORATION','Follow what happens by receiving events within the collaborations of your organization');
INSERT INTO "rule" VALUES(72,'event','RECEIVE','GLOBAL','Follow what happens by receiving events of everybody');
INSERT INTO "rule" VALUES(73,'event','SEND','ORGANIZATION','Stop tasks by sending events of your own organization');
INSERT INTO "rule" VALUES(74,'event','SEND','COLLABORATION','Stop tasks by sending events within the collaborations of your organization');
INSERT INTO "rule" VALUES(75,'event','SEND','GLOBAL','Stop tasks by sending events of everybody');
INSERT INTO "rule" VALUES(76,'study','VIEW','GLOBAL','See studies of everybody');
INSERT INTO "rule" VALUES(77,'study','VIEW','ORGANIZATION','See studies of your own organization');
INSERT INTO "rule" VALUES(78,'study','VIEW','COLLABORATION','See studies within the collaborations of your organization');
INSERT INTO "rule" VALUES(79,'study','EDIT','GLOBAL','Change studies of everybody');
INSERT INTO "rule" VALUES(80,'study','EDIT','COLLABORATION','Change studies within the collaborations of your organization');
INSERT INTO "rule" VALUES(81,'study','EDIT','ORGANIZATION','Change studies of your own organization');
INSERT INTO "rule" VALUES(82,'study','CREATE','GLOBAL','Create studies of everybody');
INSERT INTO "rule" VALUES(83,'study','CREATE','COLLABORATION','Create studies within the collaborations of your organization');
INSERT INTO "rule" VALUES(84,'study','DELETE','GLOBAL','Delete studies of everybody');
INSERT INTO "rule" VALUES(85,'study','DELETE','COLLABORATION','Delete studies within the collaborations of your organization');
INSERT INTO "rule" VALUES(86,'study','DELETE','ORGANIZATION','Delete studies of your own organization');
CREATE TABLE run (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task_id INTEGER NOT NULL, 
	organization_id INTEGER NOT NULL, 
	assigned_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	status VARCHAR(32) NOT NULL, 
	cleanup_at DATETIME, 
	blob_storage_used BOOLEAN NOT NULL, 
	CONSTRAINT fk_run_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE, 
	CONSTRAINT fk_run_task_id FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE
);
INSERT INTO "run" VALUES(1,1,1,'2026-11-23 12:28:07.843432',NULL,NULL,'pending',NULL,0);
INSERT INTO "run" VALUES(2,1,2,'2026-11-23 12:28:07.843432',NULL,NULL,'pending',NULL,0);
INSERT INTO "run" VALUES(3,2,1,'2026-11-23 12:28:07.860139','2026-11-23 12:28:07.868158','2026-11-23 12:28:07.868171','completed',NULL,0);
INSERT INTO "run" VALUES(4,2,2,'2026-11-23 12:28:07.860139','2026-11-23 12:28:07.868158','2026-11-23 12:28:07.868171','completed',NULL,0);
INSERT INTO "run" VALUES(5,3,1,'2026-11-23 12:28:07.874697','2026-11-23 12:28:07.875621','2026-11-23 12:28:07.875629','completed',NULL,0);
INSERT INTO "run" VALUES(6,3,2,'2026-11-23 12:28:07.874697','2026-11-23 12:28:07.875621','2026-11-23 12:28:07.875629','completed',NULL,0);
CREATE TABLE setting (
	"key" VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_setting PRIMARY KEY ("key")
);
INSERT INTO "setting" VALUES('jwt_secret_key','only in a test, and as long as it must be');
CREATE TABLE study (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(128) NOT NULL, 
	collaboration_id INTEGER NOT NULL, 
	CONSTRAINT fk_study_collaboration_id FOREIGN KEY(collaboration_id) REFERENCES collaboration (id) ON DELETE CASCADE, 
	CONSTRAINT uq_study_name UNIQUE (name)
);
INSERT INTO "study" VALUES(1,'half',1);
CREATE TABLE study_member (
	study_id INTEGER NOT NULL, 
	organization_id INTEGER NOT NULL, 
	CONSTRAINT pk_study_member PRIMARY KEY (study_id, organization_id), 
	CONSTRAINT fk_study_member_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE, 
	CONSTRAINT fk_study_member_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE
);
INSERT INTO "study_member" VALUES(1,1);
CREATE TABLE task (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(128) NOT NULL, 
	description VARCHAR(1024) NOT NULL, 
	image TEXT NOT NULL, 
	collaboration_id INTEGER NOT NULL, 
	study_id INTEGER, 
	job_id INTEGER NOT NULL, 
	parent_id INTEGER, 
	init_org_id INTEGER NOT NULL, 
	init_user_id INTEGER, 
	created_at DATETIME NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	finished_at DATETIME, 
	databases JSON NOT NULL, 
	CONSTRAINT fk_task_collaboration_id FOREIGN KEY(collaboration_id) REFERENCES collaboration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_task_init_org_id FOREIGN KEY(init_org_id) REFERENCES organization (id) ON DELETE CASCADE, 
	CONSTRAINT fk_task_init_user_id FOREIGN KEY(init_user_id) REFERENCES user (id) ON DELETE SET NULL, 
	CONSTRAINT fk_task_parent_id FOREIGN KEY(parent_id) REFERENCES task (id) ON DELETE CASCADE, 
	CONSTRAINT fk_task_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE SET NULL
);
INSERT INTO "task" VALUES(1,'Example task','','hello-world',1,NULL,1,NULL,1,1,'2026-11-23 12:28:07.843432','pending',NULL,'[]');
INSERT INTO "task" VALUES(2,'average','Größe ≥ 3','registry.example.org/average@sha256:0',1,1,2,NULL,1,1,'2026-11-23 12:28:07.860139','completed','2026-11-23 12:28:07.868171','[{"label": "default", "parameters": {"query": "select 1"}}]');
INSERT INTO "task" VALUES(3,'part of it','Größe ≥ 3','registry.example.org/average@sha256:0',1,1,3,2,1,1,'2026-11-23 12:28:07.874697','completed','2026-11-23 12:28:07.875629','[{"label": "default", "parameters": {"query": "select 1"}}]');
CREATE TABLE task_database (
	task_id INTEGER NOT NULL, 
	label VARCHAR(128) NOT NULL, 
	CONSTRAINT pk_task_database PRIMARY KEY (task_id, label), 
	CONSTRAINT fk_task_database_task_id FOREIGN KEY(task_id) REFERENCES task (id) ON DELETE CASCADE
);
INSERT INTO "task_database" VALUES(2,'default');
INSERT INTO "task_database" VALUES(3,'default');
CREATE TABLE user (
	id INTEGER NOT NULL, 
	username VARCHAR(128) NOT NULL, 
	password VARCHAR(255) NOT NULL, 
	firstname VARCHAR(128), 
	lastname VARCHAR(128), 
	email VARCHAR(255), 
	organization_id INTEGER NOT NULL, 
	failed_login_attempts INTEGER NOT NULL, 
	last_login_attempt DATETIME, 
	otp_secret VARCHAR(32), 
	last_email_failed_login_sent DATETIME, 
	last_email_recover_password_sent DATETIME, 
	CONSTRAINT pk_user PRIMARY KEY (id), 
	CONSTRAINT fk_user_id FOREIGN KEY(id) REFERENCES authenticatable (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_organization_id FOREIGN KEY(organization_id) REFERENCES organization (id) ON DELETE CASCADE, 
	CONSTRAINT uq_user_email UNIQUE (email), 
	CONSTRAINT uq_user_username UNIQUE (username)
);
INSERT INTO "user" VALUES(1,'ada','$argon2id$v=19$m=65536,t=3,p=4$dI5pa9D4lcmbH+6PI/3Hpw$QV8If3Wlo236t1o3QwfQNaDvadZH1pSYADmW+c6IPMM','Ada','L','a@example.org',1,0,NULL,NULL,NULL,NULL);
INSERT INTO "user" VALUES(2,'bob','$argon2id$v=19$m=65536,t=3,p=4$w4dZm2eF5UrQookqS5YZfw$6M7HYZHL61vZbH87KdKcaqQlk6CBtN91qUMmfRfptD4',NULL,NULL,NULL,2,0,NULL,NULL,NULL,NULL);
CREATE TABLE user_role (
	user_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_user_role PRIMARY KEY (user_id, role_id), 
	CONSTRAINT fk_user_role_role_id FOREIGN KEY(role_id) REFERENCES role (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_role_user_id FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
INSERT INTO "user_role" VALUES(1,8);
INSERT INTO "user_role" VALUES(2,9);
CREATE TABLE user_rule (
	user_id INTEGER NOT NULL, 
	rule_id INTEGER NOT NULL, 
	CONSTRAINT pk_user_rule PRIMARY KEY (user_id, rule_id), 
	CONSTRAINT fk_user_rule_rule_id FOREIGN KEY(rule_id) REFERENCES rule (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_rule_user_id FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
INSERT INTO "user_rule" VALUES(1,33);
CREATE INDEX ix_member_organization_id ON member (organization_id);
CREATE INDEX ix_node_collaboration_id ON node (collaboration_id);
CREATE INDEX ix_role_organization_id ON role (organization_id);
CREATE INDEX ix_study_collaboration_id ON study (collaboration_id);
CREATE INDEX ix_user_organization_id ON user (organization_id);
CREATE INDEX ix_study_member_organization_id ON study_member (organization_id);
CREATE INDEX ix_task_collaboration_id ON task (collaboration_id);
CREATE INDEX ix_task_init_org_id ON task (init_org_id);
CREATE INDEX ix_task_init_user_id ON task (init_user_id);
CREATE INDEX ix_task_job_id ON task (job_id);
CREATE INDEX ix_task_parent_id ON task (parent_id);
CREATE INDEX ix_task_status ON task (status);
CREATE INDEX ix_task_study_id ON task (study_id);
CREATE INDEX ix_user_role_role_id ON user_role (role_id);
CREATE INDEX ix_run_organization_id_finished_at ON run (organization_id, finished_at);
CREATE INDEX ix_task_database_label ON task_database (label);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('role',9);
INSERT INTO "sqlite_sequence" VALUES('organization',2);
INSERT INTO "sqlite_sequence" VALUES('authenticatable',4);
INSERT INTO "sqlite_sequence" VALUES('collaboration',2);
INSERT INTO "sqlite_sequence" VALUES('task',3);
INSERT INTO "sqlite_sequence" VALUES('run',6);
INSERT INTO "sqlite_sequence" VALUES('study',1);
COMMIT;
