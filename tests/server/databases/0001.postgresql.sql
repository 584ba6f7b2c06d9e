--
-- PostgreSQL database dump
--


-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: authenticatable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.authenticatable (
    id integer NOT NULL,
    type character varying(16) NOT NULL,
    ip character varying(64),
    last_seen timestamp without time zone,
    status character varying(16)
);


--
-- Name: authenticatable_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.authenticatable_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: authenticatable_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.authenticatable_id_seq OWNED BY public.authenticatable.id;


--
-- Name: collaboration; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.collaboration (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    encrypted boolean NOT NULL
);


--
-- Name: collaboration_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.collaboration_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: collaboration_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.collaboration_id_seq OWNED BY public.collaboration.id;


--
-- Name: counter; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.counter (
    name character varying(64) NOT NULL,
    value integer NOT NULL
);


--
-- Name: member; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.member (
    collaboration_id integer NOT NULL,
    organization_id integer NOT NULL
);


--
-- Name: node; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.node (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    api_key_hash character varying(64) NOT NULL,
    collaboration_id integer,
    organization_id integer NOT NULL,
    config json NOT NULL
);


--
-- Name: organization; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.organization (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    domain character varying(128),
    address1 character varying(128),
    address2 character varying(128),
    zipcode character varying(128),
    country character varying(128),
    public_key bytea
);


--
-- Name: organization_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.organization_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: organization_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.organization_id_seq OWNED BY public.organization.id;


--
-- Name: payload; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payload (
    run_id integer NOT NULL,
    log text,
    result text,
    input text NOT NULL
);


--
-- Name: role; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.role (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    description character varying(1024),
    organization_id integer,
    is_default_role boolean NOT NULL
);


--
-- Name: role_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.role_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: role_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.role_id_seq OWNED BY public.role.id;


--
-- Name: role_rule; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.role_rule (
    role_id integer NOT NULL,
    rule_id integer NOT NULL
);


--
-- Name: rule; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.rule (
    id integer NOT NULL,
    name character varying(64) NOT NULL,
    operation character varying(16) NOT NULL,
    scope character varying(16) NOT NULL,
    description text NOT NULL
);


--
-- Name: rule_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.rule_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: rule_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.rule_id_seq OWNED BY public.rule.id;


--
-- Name: run; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run (
    id integer NOT NULL,
    task_id integer NOT NULL,
    organization_id integer NOT NULL,
    assigned_at timestamp without time zone NOT NULL,
    started_at timestamp without time zone,
    finished_at timestamp without time zone,
    status character varying(32) NOT NULL,
    cleanup_at timestamp without time zone,
    blob_storage_used boolean NOT NULL
);


--
-- Name: run_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.run_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: run_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.run_id_seq OWNED BY public.run.id;


--
-- Name: setting; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.setting (
    key character varying(64) NOT NULL,
    value text NOT NULL
);


--
-- Name: study; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    collaboration_id integer NOT NULL
);


--
-- Name: study_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_id_seq OWNED BY public.study.id;


--
-- Name: study_member; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_member (
    study_id integer NOT NULL,
    organization_id integer NOT NULL
);


--
-- Name: task; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.task (
    id integer NOT NULL,
    name character varying(128) NOT NULL,
    description character varying(1024) NOT NULL,
    image text NOT NULL,
    collaboration_id integer NOT NULL,
    study_id integer,
    job_id integer NOT NULL,
    parent_id integer,
    init_org_id integer NOT NULL,
    init_user_id integer,
    created_at timestamp without time zone NOT NULL,
    status character varying(32) NOT NULL,
    finished_at timestamp without time zone,
    databases json NOT NULL
);


--
-- Name: task_database; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.task_database (
    task_id integer NOT NULL,
    label character varying(128) NOT NULL
);


--
-- Name: task_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.task_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: task_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.task_id_seq OWNED BY public.task.id;


--
-- Name: user; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."user" (
    id integer NOT NULL,
    username character varying(128) NOT NULL,
    password character varying(255) NOT NULL,
    firstname character varying(128),
    lastname character varying(128),
    email character varying(255),
    organization_id integer NOT NULL,
    failed_login_attempts integer NOT NULL,
    last_login_attempt timestamp without time zone,
    otp_secret character varying(32),
    last_email_failed_login_sent timestamp without time zone,
    last_email_recover_password_sent timestamp without time zone
);


--
-- Name: user_role; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.user_role (
    user_id integer NOT NULL,
    role_id integer NOT NULL
);


--
-- Name: user_rule; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.user_rule (
    user_id integer NOT NULL,
    rule_id integer NOT NULL
);


--
-- Name: authenticatable id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.authenticatable ALTER COLUMN id SET DEFAULT nextval('public.authenticatable_id_seq'::regclass);


--
-- Name: collaboration id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.collaboration ALTER COLUMN id SET DEFAULT nextval('public.collaboration_id_seq'::regclass);


--
-- Name: organization id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organization ALTER COLUMN id SET DEFAULT nextval('public.organization_id_seq'::regclass);


--
-- Name: role id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role ALTER COLUMN id SET DEFAULT nextval('public.role_id_seq'::regclass);


--
-- Name: rule id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rule ALTER COLUMN id SET DEFAULT nextval('public.rule_id_seq'::regclass);


--
-- Name: run id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run ALTER COLUMN id SET DEFAULT nextval('public.run_id_seq'::regclass);


--
-- Name: study id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study ALTER COLUMN id SET DEFAULT nextval('public.study_id_seq'::regclass);


--
-- Name: task id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task ALTER COLUMN id SET DEFAULT nextval('public.task_id_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0001');


--
-- Data for Name: authenticatable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.authenticatable VALUES (1, 'user', NULL, NULL, NULL);
INSERT INTO public.authenticatable VALUES (2, 'user', NULL, NULL, NULL);
INSERT INTO public.authenticatable VALUES (3, 'node', NULL, NULL, NULL);
INSERT INTO public.authenticatable VALUES (4, 'node', NULL, NULL, NULL);


--
-- Data for Name: collaboration; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.collaboration VALUES (1, 'trial', false);
INSERT INTO public.collaboration VALUES (2, 'empty', true);


--
-- Data for Name: counter; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counter VALUES ('job', 3);


--
-- Data for Name: member; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.member VALUES (1, 1);
INSERT INTO public.member VALUES (1, 2);


--
-- Data for Name: node; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.node VALUES (3, 'Hôpital Saint-Élie - trial Node', 'bd7662a5eeb41614e720d477abfcb2272e19a8a70a93b7e3bc8560d44ad326e9', 1, 1, '[]');
INSERT INTO public.node VALUES (4, 'Utrecht - trial Node', 'b454f82c5857ebabf342b7258e5cf7def78b7cd975814119462973de9a38df10', 1, 2, '[]');


--
-- Data for Name: organization; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.organization VALUES (1, 'Hôpital Saint-Élie', 'example.org', '1 rue', NULL, '0123', 'France', '\x736f6d65206b6579');
INSERT INTO public.organization VALUES (2, 'Utrecht', NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: payload; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.payload VALUES (1, NULL, NULL, 'eyJhIjogImIifQ==');
INSERT INTO public.payload VALUES (2, NULL, NULL, 'eyJhIjogImIifQ==');
INSERT INTO public.payload VALUES (3, 'line one
line two: ≥', 'eyJhdmVyYWdlIjogMjcuNn0=', 'eyJtZXRob2QiOiAiYSJ9');
INSERT INTO public.payload VALUES (4, 'line one
line two: ≥', 'eyJhdmVyYWdlIjogMjcuNn0=', 'eyJtZXRob2QiOiAiYSJ9');
INSERT INTO public.payload VALUES (5, 'line one
line two: ≥', 'eyJhdmVyYWdlIjogMjcuNn0=', 'eyJtZXRob2QiOiAiYSJ9');
INSERT INTO public.payload VALUES (6, 'line one
line two: ≥', 'eyJhdmVyYWdlIjogMjcuNn0=', 'eyJtZXRob2QiOiAiYSJ9');


--
-- Data for Name: role; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.role VALUES (1, 'Root', 'All rules', NULL, true);
INSERT INTO public.role VALUES (2, 'container', 'What a running algorithm may do', NULL, true);
INSERT INTO public.role VALUES (3, 'node', 'What a node may do', NULL, true);
INSERT INTO public.role VALUES (4, 'Viewer', 'Look at the collaborations of the organization', NULL, true);
INSERT INTO public.role VALUES (5, 'Researcher', 'Look, and run tasks', NULL, true);
INSERT INTO public.role VALUES (6, 'Organization Admin', 'Look, and manage the own organization', NULL, true);
INSERT INTO public.role VALUES (7, 'Collaboration Admin', 'Run tasks, and manage the collaborations of the organization', NULL, true);
INSERT INTO public.role VALUES (8, 'super', 'Super user', 1, false);
INSERT INTO public.role VALUES (9, 'super', 'Super user', 2, false);


--
-- Data for Name: role_rule; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.role_rule VALUES (1, 1);
INSERT INTO public.role_rule VALUES (1, 2);
INSERT INTO public.role_rule VALUES (1, 3);
INSERT INTO public.role_rule VALUES (1, 4);
INSERT INTO public.role_rule VALUES (1, 5);
INSERT INTO public.role_rule VALUES (1, 6);
INSERT INTO public.role_rule VALUES (1, 7);
INSERT INTO public.role_rule VALUES (1, 8);
INSERT INTO public.role_rule VALUES (1, 9);
INSERT INTO public.role_rule VALUES (1, 10);
INSERT INTO public.role_rule VALUES (1, 11);
INSERT INTO public.role_rule VALUES (1, 12);
INSERT INTO public.role_rule VALUES (1, 13);
INSERT INTO public.role_rule VALUES (1, 14);
INSERT INTO public.role_rule VALUES (1, 15);
INSERT INTO public.role_rule VALUES (1, 16);
INSERT INTO public.role_rule VALUES (1, 17);
INSERT INTO public.role_rule VALUES (1, 18);
INSERT INTO public.role_rule VALUES (1, 19);
INSERT INTO public.role_rule VALUES (1, 20);
INSERT INTO public.role_rule VALUES (1, 21);
INSERT INTO public.role_rule VALUES (1, 22);
INSERT INTO public.role_rule VALUES (1, 23);
INSERT INTO public.role_rule VALUES (1, 24);
INSERT INTO public.role_rule VALUES (1, 25);
INSERT INTO public.role_rule VALUES (1, 26);
INSERT INTO public.role_rule VALUES (1, 27);
INSERT INTO public.role_rule VALUES (1, 28);
INSERT INTO public.role_rule VALUES (1, 29);
INSERT INTO public.role_rule VALUES (1, 30);
INSERT INTO public.role_rule VALUES (1, 31);
INSERT INTO public.role_rule VALUES (1, 32);
INSERT INTO public.role_rule VALUES (1, 33);
INSERT INTO public.role_rule VALUES (1, 34);
INSERT INTO public.role_rule VALUES (1, 35);
INSERT INTO public.role_rule VALUES (1, 36);
INSERT INTO public.role_rule VALUES (1, 37);
INSERT INTO public.role_rule VALUES (1, 38);
INSERT INTO public.role_rule VALUES (1, 39);
INSERT INTO public.role_rule VALUES (1, 40);
INSERT INTO public.role_rule VALUES (1, 41);
INSERT INTO public.role_rule VALUES (1, 42);
INSERT INTO public.role_rule VALUES (1, 43);
INSERT INTO public.role_rule VALUES (1, 44);
INSERT INTO public.role_rule VALUES (1, 45);
INSERT INTO public.role_rule VALUES (1, 46);
INSERT INTO public.role_rule VALUES (1, 47);
INSERT INTO public.role_rule VALUES (1, 48);
INSERT INTO public.role_rule VALUES (1, 49);
INSERT INTO public.role_rule VALUES (1, 50);
INSERT INTO public.role_rule VALUES (1, 51);
INSERT INTO public.role_rule VALUES (1, 52);
INSERT INTO public.role_rule VALUES (1, 53);
INSERT INTO public.role_rule VALUES (1, 54);
INSERT INTO public.role_rule VALUES (1, 55);
INSERT INTO public.role_rule VALUES (1, 56);
INSERT INTO public.role_rule VALUES (1, 57);
INSERT INTO public.role_rule VALUES (1, 58);
INSERT INTO public.role_rule VALUES (1, 59);
INSERT INTO public.role_rule VALUES (1, 60);
INSERT INTO public.role_rule VALUES (1, 61);
INSERT INTO public.role_rule VALUES (1, 62);
INSERT INTO public.role_rule VALUES (1, 63);
INSERT INTO public.role_rule VALUES (1, 64);
INSERT INTO public.role_rule VALUES (1, 65);
INSERT INTO public.role_rule VALUES (1, 66);
INSERT INTO public.role_rule VALUES (1, 67);
INSERT INTO public.role_rule VALUES (1, 68);
INSERT INTO public.role_rule VALUES (1, 69);
INSERT INTO public.role_rule VALUES (1, 70);
INSERT INTO public.role_rule VALUES (1, 71);
INSERT INTO public.role_rule VALUES (1, 72);
INSERT INTO public.role_rule VALUES (1, 73);
INSERT INTO public.role_rule VALUES (1, 74);
INSERT INTO public.role_rule VALUES (1, 75);
INSERT INTO public.role_rule VALUES (1, 76);
INSERT INTO public.role_rule VALUES (1, 77);
INSERT INTO public.role_rule VALUES (1, 78);
INSERT INTO public.role_rule VALUES (1, 79);
INSERT INTO public.role_rule VALUES (1, 80);
INSERT INTO public.role_rule VALUES (1, 81);
INSERT INTO public.role_rule VALUES (1, 82);
INSERT INTO public.role_rule VALUES (1, 83);
INSERT INTO public.role_rule VALUES (1, 84);
INSERT INTO public.role_rule VALUES (1, 85);
INSERT INTO public.role_rule VALUES (1, 86);
INSERT INTO public.role_rule VALUES (2, 3);
INSERT INTO public.role_rule VALUES (2, 14);
INSERT INTO public.role_rule VALUES (2, 21);
INSERT INTO public.role_rule VALUES (2, 22);
INSERT INTO public.role_rule VALUES (2, 29);
INSERT INTO public.role_rule VALUES (2, 39);
INSERT INTO public.role_rule VALUES (2, 69);
INSERT INTO public.role_rule VALUES (2, 77);
INSERT INTO public.role_rule VALUES (3, 3);
INSERT INTO public.role_rule VALUES (3, 6);
INSERT INTO public.role_rule VALUES (3, 14);
INSERT INTO public.role_rule VALUES (3, 21);
INSERT INTO public.role_rule VALUES (3, 22);
INSERT INTO public.role_rule VALUES (3, 24);
INSERT INTO public.role_rule VALUES (3, 29);
INSERT INTO public.role_rule VALUES (3, 39);
INSERT INTO public.role_rule VALUES (3, 69);
INSERT INTO public.role_rule VALUES (3, 77);
INSERT INTO public.role_rule VALUES (4, 2);
INSERT INTO public.role_rule VALUES (4, 3);
INSERT INTO public.role_rule VALUES (4, 14);
INSERT INTO public.role_rule VALUES (4, 21);
INSERT INTO public.role_rule VALUES (4, 22);
INSERT INTO public.role_rule VALUES (4, 29);
INSERT INTO public.role_rule VALUES (4, 39);
INSERT INTO public.role_rule VALUES (4, 44);
INSERT INTO public.role_rule VALUES (4, 51);
INSERT INTO public.role_rule VALUES (4, 55);
INSERT INTO public.role_rule VALUES (4, 58);
INSERT INTO public.role_rule VALUES (4, 69);
INSERT INTO public.role_rule VALUES (4, 70);
INSERT INTO public.role_rule VALUES (4, 71);
INSERT INTO public.role_rule VALUES (4, 77);
INSERT INTO public.role_rule VALUES (5, 2);
INSERT INTO public.role_rule VALUES (5, 3);
INSERT INTO public.role_rule VALUES (5, 14);
INSERT INTO public.role_rule VALUES (5, 21);
INSERT INTO public.role_rule VALUES (5, 22);
INSERT INTO public.role_rule VALUES (5, 29);
INSERT INTO public.role_rule VALUES (5, 33);
INSERT INTO public.role_rule VALUES (5, 36);
INSERT INTO public.role_rule VALUES (5, 39);
INSERT INTO public.role_rule VALUES (5, 44);
INSERT INTO public.role_rule VALUES (5, 51);
INSERT INTO public.role_rule VALUES (5, 55);
INSERT INTO public.role_rule VALUES (5, 58);
INSERT INTO public.role_rule VALUES (5, 69);
INSERT INTO public.role_rule VALUES (5, 70);
INSERT INTO public.role_rule VALUES (5, 71);
INSERT INTO public.role_rule VALUES (5, 77);
INSERT INTO public.role_rule VALUES (6, 2);
INSERT INTO public.role_rule VALUES (6, 3);
INSERT INTO public.role_rule VALUES (6, 6);
INSERT INTO public.role_rule VALUES (6, 9);
INSERT INTO public.role_rule VALUES (6, 14);
INSERT INTO public.role_rule VALUES (6, 21);
INSERT INTO public.role_rule VALUES (6, 22);
INSERT INTO public.role_rule VALUES (6, 24);
INSERT INTO public.role_rule VALUES (6, 29);
INSERT INTO public.role_rule VALUES (6, 39);
INSERT INTO public.role_rule VALUES (6, 44);
INSERT INTO public.role_rule VALUES (6, 47);
INSERT INTO public.role_rule VALUES (6, 50);
INSERT INTO public.role_rule VALUES (6, 51);
INSERT INTO public.role_rule VALUES (6, 54);
INSERT INTO public.role_rule VALUES (6, 55);
INSERT INTO public.role_rule VALUES (6, 58);
INSERT INTO public.role_rule VALUES (6, 61);
INSERT INTO public.role_rule VALUES (6, 64);
INSERT INTO public.role_rule VALUES (6, 67);
INSERT INTO public.role_rule VALUES (6, 69);
INSERT INTO public.role_rule VALUES (6, 70);
INSERT INTO public.role_rule VALUES (6, 71);
INSERT INTO public.role_rule VALUES (6, 73);
INSERT INTO public.role_rule VALUES (6, 77);
INSERT INTO public.role_rule VALUES (7, 2);
INSERT INTO public.role_rule VALUES (7, 3);
INSERT INTO public.role_rule VALUES (7, 6);
INSERT INTO public.role_rule VALUES (7, 8);
INSERT INTO public.role_rule VALUES (7, 9);
INSERT INTO public.role_rule VALUES (7, 11);
INSERT INTO public.role_rule VALUES (7, 14);
INSERT INTO public.role_rule VALUES (7, 16);
INSERT INTO public.role_rule VALUES (7, 20);
INSERT INTO public.role_rule VALUES (7, 21);
INSERT INTO public.role_rule VALUES (7, 22);
INSERT INTO public.role_rule VALUES (7, 24);
INSERT INTO public.role_rule VALUES (7, 25);
INSERT INTO public.role_rule VALUES (7, 29);
INSERT INTO public.role_rule VALUES (7, 33);
INSERT INTO public.role_rule VALUES (7, 36);
INSERT INTO public.role_rule VALUES (7, 39);
INSERT INTO public.role_rule VALUES (7, 43);
INSERT INTO public.role_rule VALUES (7, 44);
INSERT INTO public.role_rule VALUES (7, 46);
INSERT INTO public.role_rule VALUES (7, 47);
INSERT INTO public.role_rule VALUES (7, 49);
INSERT INTO public.role_rule VALUES (7, 50);
INSERT INTO public.role_rule VALUES (7, 51);
INSERT INTO public.role_rule VALUES (7, 54);
INSERT INTO public.role_rule VALUES (7, 55);
INSERT INTO public.role_rule VALUES (7, 57);
INSERT INTO public.role_rule VALUES (7, 58);
INSERT INTO public.role_rule VALUES (7, 61);
INSERT INTO public.role_rule VALUES (7, 64);
INSERT INTO public.role_rule VALUES (7, 67);
INSERT INTO public.role_rule VALUES (7, 69);
INSERT INTO public.role_rule VALUES (7, 70);
INSERT INTO public.role_rule VALUES (7, 71);
INSERT INTO public.role_rule VALUES (7, 73);
INSERT INTO public.role_rule VALUES (7, 74);
INSERT INTO public.role_rule VALUES (7, 77);
INSERT INTO public.role_rule VALUES (7, 78);
INSERT INTO public.role_rule VALUES (7, 80);
INSERT INTO public.role_rule VALUES (7, 83);
INSERT INTO public.role_rule VALUES (7, 85);
INSERT INTO public.role_rule VALUES (8, 1);
INSERT INTO public.role_rule VALUES (8, 2);
INSERT INTO public.role_rule VALUES (8, 3);
INSERT INTO public.role_rule VALUES (8, 4);
INSERT INTO public.role_rule VALUES (8, 5);
INSERT INTO public.role_rule VALUES (8, 6);
INSERT INTO public.role_rule VALUES (8, 7);
INSERT INTO public.role_rule VALUES (8, 8);
INSERT INTO public.role_rule VALUES (8, 9);
INSERT INTO public.role_rule VALUES (8, 10);
INSERT INTO public.role_rule VALUES (8, 11);
INSERT INTO public.role_rule VALUES (8, 12);
INSERT INTO public.role_rule VALUES (8, 13);
INSERT INTO public.role_rule VALUES (8, 14);
INSERT INTO public.role_rule VALUES (8, 15);
INSERT INTO public.role_rule VALUES (8, 16);
INSERT INTO public.role_rule VALUES (8, 17);
INSERT INTO public.role_rule VALUES (8, 18);
INSERT INTO public.role_rule VALUES (8, 19);
INSERT INTO public.role_rule VALUES (8, 20);
INSERT INTO public.role_rule VALUES (8, 21);
INSERT INTO public.role_rule VALUES (8, 22);
INSERT INTO public.role_rule VALUES (8, 23);
INSERT INTO public.role_rule VALUES (8, 24);
INSERT INTO public.role_rule VALUES (8, 25);
INSERT INTO public.role_rule VALUES (8, 26);
INSERT INTO public.role_rule VALUES (8, 27);
INSERT INTO public.role_rule VALUES (8, 28);
INSERT INTO public.role_rule VALUES (8, 29);
INSERT INTO public.role_rule VALUES (8, 30);
INSERT INTO public.role_rule VALUES (8, 31);
INSERT INTO public.role_rule VALUES (8, 32);
INSERT INTO public.role_rule VALUES (8, 33);
INSERT INTO public.role_rule VALUES (8, 34);
INSERT INTO public.role_rule VALUES (8, 35);
INSERT INTO public.role_rule VALUES (8, 36);
INSERT INTO public.role_rule VALUES (8, 37);
INSERT INTO public.role_rule VALUES (8, 38);
INSERT INTO public.role_rule VALUES (8, 39);
INSERT INTO public.role_rule VALUES (8, 40);
INSERT INTO public.role_rule VALUES (8, 41);
INSERT INTO public.role_rule VALUES (8, 42);
INSERT INTO public.role_rule VALUES (8, 43);
INSERT INTO public.role_rule VALUES (8, 44);
INSERT INTO public.role_rule VALUES (8, 45);
INSERT INTO public.role_rule VALUES (8, 46);
INSERT INTO public.role_rule VALUES (8, 47);
INSERT INTO public.role_rule VALUES (8, 48);
INSERT INTO public.role_rule VALUES (8, 49);
INSERT INTO public.role_rule VALUES (8, 50);
INSERT INTO public.role_rule VALUES (8, 51);
INSERT INTO public.role_rule VALUES (8, 52);
INSERT INTO public.role_rule VALUES (8, 53);
INSERT INTO public.role_rule VALUES (8, 54);
INSERT INTO public.role_rule VALUES (8, 55);
INSERT INTO public.role_rule VALUES (8, 56);
INSERT INTO public.role_rule VALUES (8, 57);
INSERT INTO public.role_rule VALUES (8, 58);
INSERT INTO public.role_rule VALUES (8, 59);
INSERT INTO public.role_rule VALUES (8, 60);
INSERT INTO public.role_rule VALUES (8, 61);
INSERT INTO public.role_rule VALUES (8, 62);
INSERT INTO public.role_rule VALUES (8, 63);
INSERT INTO public.role_rule VALUES (8, 64);
INSERT INTO public.role_rule VALUES (8, 65);
INSERT INTO public.role_rule VALUES (8, 66);
INSERT INTO public.role_rule VALUES (8, 67);
INSERT INTO public.role_rule VALUES (8, 68);
INSERT INTO public.role_rule VALUES (8, 69);
INSERT INTO public.role_rule VALUES (8, 70);
INSERT INTO public.role_rule VALUES (8, 71);
INSERT INTO public.role_rule VALUES (8, 72);
INSERT INTO public.role_rule VALUES (8, 73);
INSERT INTO public.role_rule VALUES (8, 74);
INSERT INTO public.role_rule VALUES (8, 75);
INSERT INTO public.role_rule VALUES (8, 76);
INSERT INTO public.role_rule VALUES (8, 77);
INSERT INTO public.role_rule VALUES (8, 78);
INSERT INTO public.role_rule VALUES (8, 79);
INSERT INTO public.role_rule VALUES (8, 80);
INSERT INTO public.role_rule VALUES (8, 81);
INSERT INTO public.role_rule VALUES (8, 82);
INSERT INTO public.role_rule VALUES (8, 83);
INSERT INTO public.role_rule VALUES (8, 84);
INSERT INTO public.role_rule VALUES (8, 85);
INSERT INTO public.role_rule VALUES (8, 86);
INSERT INTO public.role_rule VALUES (9, 1);
INSERT INTO public.role_rule VALUES (9, 2);
INSERT INTO public.role_rule VALUES (9, 3);
INSERT INTO public.role_rule VALUES (9, 4);
INSERT INTO public.role_rule VALUES (9, 5);
INSERT INTO public.role_rule VALUES (9, 6);
INSERT INTO public.role_rule VALUES (9, 7);
INSERT INTO public.role_rule VALUES (9, 8);
INSERT INTO public.role_rule VALUES (9, 9);
INSERT INTO public.role_rule VALUES (9, 10);
INSERT INTO public.role_rule VALUES (9, 11);
INSERT INTO public.role_rule VALUES (9, 12);
INSERT INTO public.role_rule VALUES (9, 13);
INSERT INTO public.role_rule VALUES (9, 14);
INSERT INTO public.role_rule VALUES (9, 15);
INSERT INTO public.role_rule VALUES (9, 16);
INSERT INTO public.role_rule VALUES (9, 17);
INSERT INTO public.role_rule VALUES (9, 18);
INSERT INTO public.role_rule VALUES (9, 19);
INSERT INTO public.role_rule VALUES (9, 20);
INSERT INTO public.role_rule VALUES (9, 21);
INSERT INTO public.role_rule VALUES (9, 22);
INSERT INTO public.role_rule VALUES (9, 23);
INSERT INTO public.role_rule VALUES (9, 24);
INSERT INTO public.role_rule VALUES (9, 25);
INSERT INTO public.role_rule VALUES (9, 26);
INSERT INTO public.role_rule VALUES (9, 27);
INSERT INTO public.role_rule VALUES (9, 28);
INSERT INTO public.role_rule VALUES (9, 29);
INSERT INTO public.role_rule VALUES (9, 30);
INSERT INTO public.role_rule VALUES (9, 31);
INSERT INTO public.role_rule VALUES (9, 32);
INSERT INTO public.role_rule VALUES (9, 33);
INSERT INTO public.role_rule VALUES (9, 34);
INSERT INTO public.role_rule VALUES (9, 35);
INSERT INTO public.role_rule VALUES (9, 36);
INSERT INTO public.role_rule VALUES (9, 37);
INSERT INTO public.role_rule VALUES (9, 38);
INSERT INTO public.role_rule VALUES (9, 39);
INSERT INTO public.role_rule VALUES (9, 40);
INSERT INTO public.role_rule VALUES (9, 41);
INSERT INTO public.role_rule VALUES (9, 42);
INSERT INTO public.role_rule VALUES (9, 43);
INSERT INTO public.role_rule VALUES (9, 44);
INSERT INTO public.role_rule VALUES (9, 45);
INSERT INTO public.role_rule VALUES (9, 46);
INSERT INTO public.role_rule VALUES (9, 47);
INSERT INTO public.role_rule VALUES (9, 48);
INSERT INTO public.role_rule VALUES (9, 49);
INSERT INTO public.role_rule VALUES (9, 50);
INSERT INTO public.role_rule VALUES (9, 51);
INSERT INTO public.role_rule VALUES (9, 52);
INSERT INTO public.role_rule VALUES (9, 53);
INSERT INTO public.role_rule VALUES (9, 54);
INSERT INTO public.role_rule VALUES (9, 55);
INSERT INTO public.role_rule VALUES (9, 56);
INSERT INTO public.role_rule VALUES (9, 57);
INSERT INTO public.role_rule VALUES (9, 58);
INSERT INTO public.role_rule VALUES (9, 59);
INSERT INTO public.role_rule VALUES (9, 60);
INSERT INTO public.role_rule VALUES (9, 61);
INSERT INTO public.role_rule VALUES (9, 62);
INSERT INTO public.role_rule VALUES (9, 63);
INSERT INTO public.role_rule VALUES (9, 64);
INSERT INTO public.role_rule VALUES (9, 65);
INSERT INTO public.role_rule VALUES (9, 66);
INSERT INTO public.role_rule VALUES (9, 67);
INSERT INTO public.role_rule VALUES (9, 68);
INSERT INTO public.role_rule VALUES (9, 69);
INSERT INTO public.role_rule VALUES (9, 70);
INSERT INTO public.role_rule VALUES (9, 71);
INSERT INTO public.role_rule VALUES (9, 72);
INSERT INTO public.role_rule VALUES (9, 73);
INSERT INTO public.role_rule VALUES (9, 74);
INSERT INTO public.role_rule VALUES (9, 75);
INSERT INTO public.role_rule VALUES (9, 76);
INSERT INTO public.role_rule VALUES (9, 77);
INSERT INTO public.role_rule VALUES (9, 78);
INSERT INTO public.role_rule VALUES (9, 79);
INSERT INTO public.role_rule VALUES (9, 80);
INSERT INTO public.role_rule VALUES (9, 81);
INSERT INTO public.role_rule VALUES (9, 82);
INSERT INTO public.role_rule VALUES (9, 83);
INSERT INTO public.role_rule VALUES (9, 84);
INSERT INTO public.role_rule VALUES (9, 85);
INSERT INTO public.role_rule VALUES (9, 86);


--
-- Data for Name: rule; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.rule VALUES (1, 'node', 'VIEW', 'GLOBAL', 'See nodes of everybody');
INSERT INTO public.rule VALUES (2, 'node', 'VIEW', 'COLLABORATION', 'See nodes within the collaborations of your organization');
INSERT INTO public.rule VALUES (3, 'node', 'VIEW', 'ORGANIZATION', 'See nodes of your own organization');
INSERT INTO public.rule VALUES (4, 'node', 'EDIT', 'GLOBAL', 'Change nodes of everybody');
INSERT INTO public.rule VALUES (5, 'node', 'EDIT', 'COLLABORATION', 'Change nodes within the collaborations of your organization');
INSERT INTO public.rule VALUES (6, 'node', 'EDIT', 'ORGANIZATION', 'Change nodes of your own organization');
INSERT INTO public.rule VALUES (7, 'node', 'CREATE', 'GLOBAL', 'Create nodes of everybody');
INSERT INTO public.rule VALUES (8, 'node', 'CREATE', 'COLLABORATION', 'Create nodes within the collaborations of your organization');
INSERT INTO public.rule VALUES (9, 'node', 'CREATE', 'ORGANIZATION', 'Create nodes of your own organization');
INSERT INTO public.rule VALUES (10, 'node', 'DELETE', 'GLOBAL', 'Delete nodes of everybody');
INSERT INTO public.rule VALUES (11, 'node', 'DELETE', 'COLLABORATION', 'Delete nodes within the collaborations of your organization');
INSERT INTO public.rule VALUES (12, 'node', 'DELETE', 'ORGANIZATION', 'Delete nodes of your own organization');
INSERT INTO public.rule VALUES (13, 'collaboration', 'VIEW', 'GLOBAL', 'See collaborations of everybody');
INSERT INTO public.rule VALUES (14, 'collaboration', 'VIEW', 'ORGANIZATION', 'See collaborations of your own organization');
INSERT INTO public.rule VALUES (15, 'collaboration', 'EDIT', 'GLOBAL', 'Change collaborations of everybody');
INSERT INTO public.rule VALUES (16, 'collaboration', 'EDIT', 'COLLABORATION', 'Change collaborations within the collaborations of your organization');
INSERT INTO public.rule VALUES (17, 'collaboration', 'CREATE', 'GLOBAL', 'Create collaborations of everybody');
INSERT INTO public.rule VALUES (18, 'collaboration', 'DELETE', 'GLOBAL', 'Delete collaborations of everybody');
INSERT INTO public.rule VALUES (19, 'collaboration', 'DELETE', 'COLLABORATION', 'Delete collaborations within the collaborations of your organization');
INSERT INTO public.rule VALUES (20, 'organization', 'VIEW', 'GLOBAL', 'See organizations of everybody');
INSERT INTO public.rule VALUES (21, 'organization', 'VIEW', 'ORGANIZATION', 'See organizations of your own organization');
INSERT INTO public.rule VALUES (22, 'organization', 'VIEW', 'COLLABORATION', 'See organizations within the collaborations of your organization');
INSERT INTO public.rule VALUES (23, 'organization', 'EDIT', 'GLOBAL', 'Change organizations of everybody');
INSERT INTO public.rule VALUES (24, 'organization', 'EDIT', 'ORGANIZATION', 'Change organizations of your own organization');
INSERT INTO public.rule VALUES (25, 'organization', 'EDIT', 'COLLABORATION', 'Change organizations within the collaborations of your organization');
INSERT INTO public.rule VALUES (26, 'organization', 'CREATE', 'GLOBAL', 'Create organizations of everybody');
INSERT INTO public.rule VALUES (27, 'organization', 'DELETE', 'GLOBAL', 'Delete organizations of everybody');
INSERT INTO public.rule VALUES (28, 'task', 'VIEW', 'GLOBAL', 'See tasks of everybody');
INSERT INTO public.rule VALUES (29, 'task', 'VIEW', 'COLLABORATION', 'See tasks within the collaborations of your organization');
INSERT INTO public.rule VALUES (30, 'task', 'VIEW', 'ORGANIZATION', 'See tasks of your own organization');
INSERT INTO public.rule VALUES (31, 'task', 'VIEW', 'OWN', 'See tasks of your own');
INSERT INTO public.rule VALUES (32, 'task', 'CREATE', 'GLOBAL', 'Create tasks of everybody');
INSERT INTO public.rule VALUES (33, 'task', 'CREATE', 'COLLABORATION', 'Create tasks within the collaborations of your organization');
INSERT INTO public.rule VALUES (34, 'task', 'DELETE', 'GLOBAL', 'Delete tasks of everybody');
INSERT INTO public.rule VALUES (35, 'task', 'DELETE', 'COLLABORATION', 'Delete tasks within the collaborations of your organization');
INSERT INTO public.rule VALUES (36, 'task', 'DELETE', 'ORGANIZATION', 'Delete tasks of your own organization');
INSERT INTO public.rule VALUES (37, 'task', 'DELETE', 'OWN', 'Delete tasks of your own');
INSERT INTO public.rule VALUES (38, 'run', 'VIEW', 'GLOBAL', 'See runs and results of everybody');
INSERT INTO public.rule VALUES (39, 'run', 'VIEW', 'COLLABORATION', 'See runs and results within the collaborations of your organization');
INSERT INTO public.rule VALUES (40, 'run', 'VIEW', 'ORGANIZATION', 'See runs and results of your own organization');
INSERT INTO public.rule VALUES (41, 'run', 'VIEW', 'OWN', 'See runs and results of your own');
INSERT INTO public.rule VALUES (42, 'user', 'VIEW', 'GLOBAL', 'See users of everybody');
INSERT INTO public.rule VALUES (43, 'user', 'VIEW', 'COLLABORATION', 'See users within the collaborations of your organization');
INSERT INTO public.rule VALUES (44, 'user', 'VIEW', 'ORGANIZATION', 'See users of your own organization');
INSERT INTO public.rule VALUES (45, 'user', 'CREATE', 'GLOBAL', 'Create users of everybody');
INSERT INTO public.rule VALUES (46, 'user', 'CREATE', 'COLLABORATION', 'Create users within the collaborations of your organization');
INSERT INTO public.rule VALUES (47, 'user', 'CREATE', 'ORGANIZATION', 'Create users of your own organization');
INSERT INTO public.rule VALUES (48, 'user', 'EDIT', 'GLOBAL', 'Change users of everybody');
INSERT INTO public.rule VALUES (49, 'user', 'EDIT', 'COLLABORATION', 'Change users within the collaborations of your organization');
INSERT INTO public.rule VALUES (50, 'user', 'EDIT', 'ORGANIZATION', 'Change users of your own organization');
INSERT INTO public.rule VALUES (51, 'user', 'EDIT', 'OWN', 'Change users of your own');
INSERT INTO public.rule VALUES (52, 'user', 'DELETE', 'GLOBAL', 'Delete users of everybody');
INSERT INTO public.rule VALUES (53, 'user', 'DELETE', 'COLLABORATION', 'Delete users within the collaborations of your organization');
INSERT INTO public.rule VALUES (54, 'user', 'DELETE', 'ORGANIZATION', 'Delete users of your own organization');
INSERT INTO public.rule VALUES (55, 'user', 'DELETE', 'OWN', 'Delete users of your own');
INSERT INTO public.rule VALUES (56, 'role', 'VIEW', 'GLOBAL', 'See roles of everybody');
INSERT INTO public.rule VALUES (57, 'role', 'VIEW', 'COLLABORATION', 'See roles within the collaborations of your organization');
INSERT INTO public.rule VALUES (58, 'role', 'VIEW', 'ORGANIZATION', 'See roles of your own organization');
INSERT INTO public.rule VALUES (59, 'role', 'CREATE', 'GLOBAL', 'Create roles of everybody');
INSERT INTO public.rule VALUES (60, 'role', 'CREATE', 'COLLABORATION', 'Create roles within the collaborations of your organization');
INSERT INTO public.rule VALUES (61, 'role', 'CREATE', 'ORGANIZATION', 'Create roles of your own organization');
INSERT INTO public.rule VALUES (62, 'role', 'EDIT', 'GLOBAL', 'Change roles of everybody');
INSERT INTO public.rule VALUES (63, 'role', 'EDIT', 'COLLABORATION', 'Change roles within the collaborations of your organization');
INSERT INTO public.rule VALUES (64, 'role', 'EDIT', 'ORGANIZATION', 'Change roles of your own organization');
INSERT INTO public.rule VALUES (65, 'role', 'DELETE', 'GLOBAL', 'Delete roles of everybody');
INSERT INTO public.rule VALUES (66, 'role', 'DELETE', 'COLLABORATION', 'Delete roles within the collaborations of your organization');
INSERT INTO public.rule VALUES (67, 'role', 'DELETE', 'ORGANIZATION', 'Delete roles of your own organization');
INSERT INTO public.rule VALUES (68, 'port', 'VIEW', 'GLOBAL', 'See ports of everybody');
INSERT INTO public.rule VALUES (69, 'port', 'VIEW', 'ORGANIZATION', 'See ports of your own organization');
INSERT INTO public.rule VALUES (70, 'event', 'RECEIVE', 'ORGANIZATION', 'Follow what happens by receiving events of your own organization');
INSERT INTO public.rule VALUES (71, 'event', 'RECEIVE', 'COLLABORATION', 'Follow what happens by receiving events within the collaborations of your organization');
INSERT INTO public.rule VALUES (72, 'event', 'RECEIVE', 'GLOBAL', 'Follow what happens by receiving events of everybody');
INSERT INTO public.rule VALUES (73, 'event', 'SEND', 'ORGANIZATION', 'Stop tasks by sending events of your own organization');
INSERT INTO public.rule VALUES (74, 'event', 'SEND', 'COLLABORATION', 'Stop tasks by sending events within the collaborations of your organization');
INSERT INTO public.rule VALUES (75, 'event', 'SEND', 'GLOBAL', 'Stop tasks by sending events of everybody');
INSERT INTO public.rule VALUES (76, 'study', 'VIEW', 'GLOBAL', 'See studies of everybody');
INSERT INTO public.rule VALUES (77, 'study', 'VIEW', 'ORGANIZATION', 'See studies of your own organization');
INSERT INTO public.rule VALUES (78, 'study', 'VIEW', 'COLLABORATION', 'See studies within the collaborations of your organization');
INSERT INTO public.rule VALUES (79, 'study', 'EDIT', 'GLOBAL', 'Change studies of everybody');
INSERT INTO public.rule VALUES (80, 'study', 'EDIT', 'COLLABORATION', 'Change studies within the collaborations of your organization');
INSERT INTO public.rule VALUES (81, 'study', 'EDIT', 'ORGANIZATION', 'Change studies of your own organization');
INSERT INTO public.rule VALUES (82, 'study', 'CREATE', 'GLOBAL', 'Create studies of everybody');
INSERT INTO public.rule VALUES (83, 'study', 'CREATE', 'COLLABORATION', 'Create studies within the collaborations of your organization');
INSERT INTO public.rule VALUES (84, 'study', 'DELETE', 'GLOBAL', 'Delete studies of everybody');
INSERT INTO public.rule VALUES (85, 'study', 'DELETE', 'COLLABORATION', 'Delete studies within the collaborations of your organization');
INSERT INTO public.rule VALUES (86, 'study', 'DELETE', 'ORGANIZATION', 'Delete studies of your own organization');


--
-- Data for Name: run; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run VALUES (1, 1, 1, '2026-11-23 12:28:07.843432', NULL, NULL, 'pending', NULL, false);
INSERT INTO public.run VALUES (2, 1, 2, '2026-11-23 12:28:07.843432', NULL, NULL, 'pending', NULL, false);
INSERT INTO public.run VALUES (3, 2, 1, '2026-11-23 12:28:07.860139', '2026-11-23 12:28:07.868158', '2026-11-23 12:28:07.868171', 'completed', NULL, false);
INSERT INTO public.run VALUES (4, 2, 2, '2026-11-23 12:28:07.860139', '2026-11-23 12:28:07.868158', '2026-11-23 12:28:07.868171', 'completed', NULL, false);
INSERT INTO public.run VALUES (5, 3, 1, '2026-11-23 12:28:07.874697', '2026-11-23 12:28:07.875621', '2026-11-23 12:28:07.875629', 'completed', NULL, false);
INSERT INTO public.run VALUES (6, 3, 2, '2026-11-23 12:28:07.874697', '2026-11-23 12:28:07.875621', '2026-11-23 12:28:07.875629', 'completed', NULL, false);


--
-- Data for Name: setting; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.setting VALUES ('jwt_secret_key', 'only in a test, and as long as it must be');


--
-- Data for Name: study; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study VALUES (1, 'half', 1);


--
-- Data for Name: study_member; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_member VALUES (1, 1);


--
-- Data for Name: task; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.task VALUES (1, 'Example task', '', 'hello-world', 1, NULL, 1, NULL, 1, 1, '2026-11-23 12:28:07.843432', 'pending', NULL, '[]');
INSERT INTO public.task VALUES (2, 'average', 'Größe ≥ 3', 'registry.example.org/average@sha256:0', 1, 1, 2, NULL, 1, 1, '2026-11-23 12:28:07.860139', 'completed', '2026-11-23 12:28:07.868171', '[{"label": "default", "parameters": {"query": "select 1"}}]');
INSERT INTO public.task VALUES (3, 'part of it', 'Größe ≥ 3', 'registry.example.org/average@sha256:0', 1, 1, 3, 2, 1, 1, '2026-11-23 12:28:07.874697', 'completed', '2026-11-23 12:28:07.875629', '[{"label": "default", "parameters": {"query": "select 1"}}]');


--
-- Data for Name: task_database; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.task_database VALUES (2, 'default');
INSERT INTO public.task_database VALUES (3, 'default');


--
-- Data for Name: user; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."user" VALUES (1, 'ada', '$argon2id$v=19$m=65536,t=3,p=4$dI5pa9D4lcmbH+6PI/3Hpw$QV8If3Wlo236t1o3QwfQNaDvadZH1pSYADmW+c6IPMM', 'Ada', 'L', 'a@example.org', 1, 0, NULL, NULL, NULL, NULL);
INSERT INTO public."user" VALUES (2, 'bob', '$argon2id$v=19$m=65536,t=3,p=4$w4dZm2eF5UrQookqS5YZfw$6M7HYZHL61vZbH87KdKcaqQlk6CBtN91qUMmfRfptD4', NULL, NULL, NULL, 2, 0, NULL, NULL, NULL, NULL);


--
-- Data for Name: user_role; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.user_role VALUES (1, 8);
INSERT INTO public.user_role VALUES (2, 9);


--
-- Data for Name: user_rule; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.user_rule VALUES (1, 33);


--
-- Name: authenticatable_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.authenticatable_id_seq', 4, true);


--
-- Name: collaboration_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.collaboration_id_seq', 2, true);


--
-- Name: organization_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.organization_id_seq', 2, true);


--
-- Name: role_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.role_id_seq', 9, true);


--
-- Name: rule_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.rule_id_seq', 86, true);


--
-- Name: run_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.run_id_seq', 6, true);


--
-- Name: study_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_id_seq', 1, true);


--
-- Name: task_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.task_id_seq', 3, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: authenticatable pk_authenticatable; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.authenticatable
    ADD CONSTRAINT pk_authenticatable PRIMARY KEY (id);


--
-- Name: collaboration pk_collaboration; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.collaboration
    ADD CONSTRAINT pk_collaboration PRIMARY KEY (id);


--
-- Name: counter pk_counter; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.counter
    ADD CONSTRAINT pk_counter PRIMARY KEY (name);


--
-- Name: member pk_member; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT pk_member PRIMARY KEY (collaboration_id, organization_id);


--
-- Name: node pk_node; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT pk_node PRIMARY KEY (id);


--
-- Name: organization pk_organization; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organization
    ADD CONSTRAINT pk_organization PRIMARY KEY (id);


--
-- Name: payload pk_payload; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payload
    ADD CONSTRAINT pk_payload PRIMARY KEY (run_id);


--
-- Name: role pk_role; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role
    ADD CONSTRAINT pk_role PRIMARY KEY (id);


--
-- Name: role_rule pk_role_rule; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role_rule
    ADD CONSTRAINT pk_role_rule PRIMARY KEY (role_id, rule_id);


--
-- Name: rule pk_rule; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rule
    ADD CONSTRAINT pk_rule PRIMARY KEY (id);


--
-- Name: run pk_run; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT pk_run PRIMARY KEY (id);


--
-- Name: setting pk_setting; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.setting
    ADD CONSTRAINT pk_setting PRIMARY KEY (key);


--
-- Name: study pk_study; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study
    ADD CONSTRAINT pk_study PRIMARY KEY (id);


--
-- Name: study_member pk_study_member; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_member
    ADD CONSTRAINT pk_study_member PRIMARY KEY (study_id, organization_id);


--
-- Name: task pk_task; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT pk_task PRIMARY KEY (id);


--
-- Name: task_database pk_task_database; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_database
    ADD CONSTRAINT pk_task_database PRIMARY KEY (task_id, label);


--
-- Name: user pk_user; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT pk_user PRIMARY KEY (id);


--
-- Name: user_role pk_user_role; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_role
    ADD CONSTRAINT pk_user_role PRIMARY KEY (user_id, role_id);


--
-- Name: user_rule pk_user_rule; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_rule
    ADD CONSTRAINT pk_user_rule PRIMARY KEY (user_id, rule_id);


--
-- Name: collaboration uq_collaboration_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.collaboration
    ADD CONSTRAINT uq_collaboration_name UNIQUE (name);


--
-- Name: node uq_node_api_key_hash; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT uq_node_api_key_hash UNIQUE (api_key_hash);


--
-- Name: node uq_node_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT uq_node_name UNIQUE (name);


--
-- Name: node uq_node_organization_id_collaboration_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT uq_node_organization_id_collaboration_id UNIQUE (organization_id, collaboration_id);


--
-- Name: organization uq_organization_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organization
    ADD CONSTRAINT uq_organization_name UNIQUE (name);


--
-- Name: rule uq_rule_name_operation_scope; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rule
    ADD CONSTRAINT uq_rule_name_operation_scope UNIQUE (name, operation, scope);


--
-- Name: study uq_study_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study
    ADD CONSTRAINT uq_study_name UNIQUE (name);


--
-- Name: user uq_user_email; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT uq_user_email UNIQUE (email);


--
-- Name: user uq_user_username; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT uq_user_username UNIQUE (username);


--
-- Name: ix_member_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_member_organization_id ON public.member USING btree (organization_id);


--
-- Name: ix_node_collaboration_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_node_collaboration_id ON public.node USING btree (collaboration_id);


--
-- Name: ix_role_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_role_organization_id ON public.role USING btree (organization_id);


--
-- Name: ix_run_organization_id_finished_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_organization_id_finished_at ON public.run USING btree (organization_id, finished_at);


--
-- Name: ix_study_collaboration_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_study_collaboration_id ON public.study USING btree (collaboration_id);


--
-- Name: ix_study_member_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_study_member_organization_id ON public.study_member USING btree (organization_id);


--
-- Name: ix_task_collaboration_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_collaboration_id ON public.task USING btree (collaboration_id);


--
-- Name: ix_task_database_label; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_database_label ON public.task_database USING btree (label);


--
-- Name: ix_task_init_org_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_init_org_id ON public.task USING btree (init_org_id);


--
-- Name: ix_task_init_user_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_init_user_id ON public.task USING btree (init_user_id);


--
-- Name: ix_task_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_job_id ON public.task USING btree (job_id);


--
-- Name: ix_task_parent_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_parent_id ON public.task USING btree (parent_id);


--
-- Name: ix_task_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_status ON public.task USING btree (status);


--
-- Name: ix_task_study_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_task_study_id ON public.task USING btree (study_id);


--
-- Name: ix_user_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_user_organization_id ON public."user" USING btree (organization_id);


--
-- Name: ix_user_role_role_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_user_role_role_id ON public.user_role USING btree (role_id);


--
-- Name: member fk_member_collaboration_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT fk_member_collaboration_id FOREIGN KEY (collaboration_id) REFERENCES public.collaboration(id) ON DELETE CASCADE;


--
-- Name: member fk_member_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT fk_member_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: node fk_node_collaboration_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT fk_node_collaboration_id FOREIGN KEY (collaboration_id) REFERENCES public.collaboration(id) ON DELETE CASCADE;


--
-- Name: node fk_node_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT fk_node_id FOREIGN KEY (id) REFERENCES public.authenticatable(id) ON DELETE CASCADE;


--
-- Name: node fk_node_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT fk_node_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: payload fk_payload_run_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payload
    ADD CONSTRAINT fk_payload_run_id FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;


--
-- Name: role fk_role_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role
    ADD CONSTRAINT fk_role_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: role_rule fk_role_rule_role_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role_rule
    ADD CONSTRAINT fk_role_rule_role_id FOREIGN KEY (role_id) REFERENCES public.role(id) ON DELETE CASCADE;


--
-- Name: role_rule fk_role_rule_rule_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.role_rule
    ADD CONSTRAINT fk_role_rule_rule_id FOREIGN KEY (rule_id) REFERENCES public.rule(id) ON DELETE CASCADE;


--
-- Name: run fk_run_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT fk_run_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: run fk_run_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT fk_run_task_id FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE CASCADE;


--
-- Name: study fk_study_collaboration_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study
    ADD CONSTRAINT fk_study_collaboration_id FOREIGN KEY (collaboration_id) REFERENCES public.collaboration(id) ON DELETE CASCADE;


--
-- Name: study_member fk_study_member_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_member
    ADD CONSTRAINT fk_study_member_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: study_member fk_study_member_study_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_member
    ADD CONSTRAINT fk_study_member_study_id FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE CASCADE;


--
-- Name: task fk_task_collaboration_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT fk_task_collaboration_id FOREIGN KEY (collaboration_id) REFERENCES public.collaboration(id) ON DELETE CASCADE;


--
-- Name: task_database fk_task_database_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_database
    ADD CONSTRAINT fk_task_database_task_id FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE CASCADE;


--
-- Name: task fk_task_init_org_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT fk_task_init_org_id FOREIGN KEY (init_org_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: task fk_task_init_user_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT fk_task_init_user_id FOREIGN KEY (init_user_id) REFERENCES public."user"(id) ON DELETE SET NULL;


--
-- Name: task fk_task_parent_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT fk_task_parent_id FOREIGN KEY (parent_id) REFERENCES public.task(id) ON DELETE CASCADE;


--
-- Name: task fk_task_study_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT fk_task_study_id FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE SET NULL;


--
-- Name: user fk_user_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT fk_user_id FOREIGN KEY (id) REFERENCES public.authenticatable(id) ON DELETE CASCADE;


--
-- Name: user fk_user_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT fk_user_organization_id FOREIGN KEY (organization_id) REFERENCES public.organization(id) ON DELETE CASCADE;


--
-- Name: user_role fk_user_role_role_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_role
    ADD CONSTRAINT fk_user_role_role_id FOREIGN KEY (role_id) REFERENCES public.role(id) ON DELETE CASCADE;


--
-- Name: user_role fk_user_role_user_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_role
    ADD CONSTRAINT fk_user_role_user_id FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;


--
-- Name: user_rule fk_user_rule_rule_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_rule
    ADD CONSTRAINT fk_user_rule_rule_id FOREIGN KEY (rule_id) REFERENCES public.rule(id) ON DELETE CASCADE;


--
-- Name: user_rule fk_user_rule_user_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_rule
    ADD CONSTRAINT fk_user_rule_user_id FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


