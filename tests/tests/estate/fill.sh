# What needs the servers to run: once, after the first boot.
mariadb -e "CREATE DATABASE shop; CREATE DATABASE blog;
    CREATE USER shop@localhost IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO shop@localhost;
    CREATE USER blog@localhost IDENTIFIED BY 'secret'; GRANT ALL ON blog.* TO blog@localhost;
    CREATE TABLE shop.wp_options (option_id BIGINT PRIMARY KEY AUTO_INCREMENT, option_name VARCHAR(191), option_value LONGTEXT, autoload VARCHAR(20));
    CREATE TABLE shop.wp_posts (ID BIGINT PRIMARY KEY AUTO_INCREMENT, post_title TEXT);
    CREATE TABLE blog.wp_options (option_id BIGINT PRIMARY KEY AUTO_INCREMENT, option_name VARCHAR(191), option_value LONGTEXT, autoload VARCHAR(20));
    INSERT INTO shop.wp_posts (post_title) SELECT MD5(seq) FROM shop.seq_1_to_20000;"
